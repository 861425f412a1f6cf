import { afterAll, beforeAll, expect, test } from "vitest";
import { type EmbeddedDatabase, open } from "../../index.ts";

let db: EmbeddedDatabase;
beforeAll(async () => {
  db = await open({ memory: true });
});
afterAll(() => db.close());

test("the example of the docstring", async () => {
  await db.query("CREATE TABLE items (id int PRIMARY KEY, embedding vector(3))");
  await db.query("INSERT INTO items VALUES ($1, $2), (2, '[3,2,1]')", [1, [1, 2, 3]]);
  const { rows, tag } = await db.query("SELECT id FROM items ORDER BY embedding <-> $1 LIMIT 5", ["[3,1,2]"]);
  expect(rows).toEqual([{ id: 2 }, { id: 1 }]);
  expect(tag).toBe("SELECT 2");
});

test("values come back as JavaScript's own", async () => {
  const { rows } = await db.query(
    "SELECT $1::int8 AS big, $2::jsonb AS json, $3::bytea AS bytes, $4::numeric AS exact, $5::vector AS v, $6::bool AS yes",
    [2n ** 60n, '{"a":[1]}', new Uint8Array([0, 255]), "1.50", new Float32Array([1, 2]), true],
  );
  expect(rows).toEqual([
    {
      big: 2n ** 60n,
      json: { a: [1] },
      bytes: new Uint8Array([0, 255]),
      exact: "1.50",
      v: new Float32Array([1, 2]),
      yes: true,
    },
  ]);
});

test("an error carries SQLSTATE and leaves the session usable", async () => {
  await expect(db.query("SELECT nosuch")).rejects.toMatchObject({ code: "42703" });
  await expect(db.query("SELECT 1 / $1::int", [0])).rejects.toMatchObject({ code: "22012" });
  expect((await db.query("SELECT 1 AS one")).rows).toEqual([{ one: 1 }]);
});

test("sessions see each other's commits, not their open transactions", async () => {
  const other = db.session();
  await db.query("CREATE TABLE shared (n int)");
  await db.query("BEGIN");
  await db.query("INSERT INTO shared VALUES (1)");
  expect((await other.query("SELECT count(*)::int AS n FROM shared")).rows).toEqual([{ n: 0 }]);
  await db.query("COMMIT");
  expect((await other.query("SELECT count(*)::int AS n FROM shared")).rows).toEqual([{ n: 1 }]);
  await other.close();
});

test("a prepared statement is planned anew after DDL, and refuses a result of another shape", async () => {
  await db.query("CREATE TABLE shape (a int); INSERT INTO shape VALUES (1)");
  await db.query("PREPARE whole AS SELECT * FROM shape; PREPARE one AS SELECT a FROM shape");
  expect((await db.query("EXECUTE whole")).rows).toEqual([{ a: 1 }]);
  await db.query("CREATE INDEX ON shape (a); ALTER TABLE shape ADD COLUMN b text");
  expect((await db.query("EXECUTE one")).rows).toEqual([{ a: 1 }]);
  await expect(db.query("EXECUTE whole")).rejects.toMatchObject({
    code: "0A000",
    message: "cached plan must not change result type",
  });
});

test("a temporary table hides another of its name in this session only", async () => {
  const other = db.session();
  await db.query("CREATE TABLE hidden (n int); INSERT INTO hidden VALUES (1)");
  expect((await other.query("SELECT n FROM hidden")).rows).toEqual([{ n: 1 }]);
  await other.query("CREATE TEMP TABLE hidden (n int); INSERT INTO hidden VALUES (2)");
  expect((await other.query("SELECT n FROM hidden")).rows).toEqual([{ n: 2 }]);
  expect((await db.query("SELECT n FROM hidden")).rows).toEqual([{ n: 1 }]);
  await other.query("DISCARD ALL");
  expect((await other.query("SELECT n FROM hidden")).rows).toEqual([{ n: 1 }]);
  await other.close();
});

test("COPY needs a connection", async () => {
  await expect(db.query("COPY shared FROM STDIN")).rejects.toMatchObject({ code: "0A000" });
});
