// Every definition statement inside a transaction that is rolled back, to a savepoint and as a whole: the catalogue, as
// PostgreSQL's system tables show it, and the rows must be as they were.
import { afterAll, beforeAll, expect, test } from "vitest";
import { type EmbeddedDatabase, open } from "../../index.ts";

const STATEMENTS = [
  "CREATE TABLE made (id serial PRIMARY KEY, r int REFERENCES p, n int GENERATED ALWAYS AS (r + 1) STORED, UNIQUE (r))",
  "CREATE TABLE child (a int REFERENCES t ON DELETE CASCADE)",
  "CREATE TEMP TABLE passing (a int PRIMARY KEY) ON COMMIT DROP",
  "CREATE INDEX ON t (b, a DESC)",
  "CREATE UNIQUE INDEX part ON t ((a + 1)) WHERE b <> ''",
  "CREATE INDEX ON t USING hnsw (v vector_l2_ops)",
  "CREATE INDEX ON t USING bm25 (b)",
  "CREATE SCHEMA other",
  "CREATE SEQUENCE more START 5",
  "ALTER TABLE t ADD COLUMN c int DEFAULT 4 CHECK (c > 0)",
  "ALTER TABLE t ADD COLUMN s bigserial UNIQUE",
  "ALTER TABLE t ADD COLUMN g int GENERATED ALWAYS AS (a * 2) STORED",
  "ALTER TABLE t DROP COLUMN a CASCADE",
  "ALTER TABLE t DROP COLUMN b",
  "ALTER TABLE t RENAME COLUMN a TO z",
  "ALTER TABLE t RENAME TO u",
  "ALTER TABLE t ALTER COLUMN b SET DEFAULT 'x'",
  "ALTER TABLE t ALTER COLUMN b SET NOT NULL",
  "ALTER TABLE t ADD UNIQUE (b) DEFERRABLE",
  "ALTER TABLE t ADD CONSTRAINT more_check CHECK (a < 100)",
  "ALTER TABLE c ADD FOREIGN KEY (x) REFERENCES p NOT VALID",
  "ALTER TABLE c ALTER CONSTRAINT c_x_fkey DEFERRABLE",
  "ALTER TABLE t DROP CONSTRAINT t_pkey CASCADE",
  "ALTER INDEX t_b RENAME TO t_b_renamed",
  "DROP INDEX t_b",
  "DROP TABLE c",
  "DROP TABLE t CASCADE",
  "DROP SEQUENCE own",
  "DROP SCHEMA s CASCADE",
  "TRUNCATE t, c RESTART IDENTITY",
  "TRUNCATE t CASCADE",
  "COMMENT ON TABLE t IS 'changed'",
  "ANALYZE t",
];

const CATALOGUE = [
  "SELECT oid, relname, relkind, relnamespace, relnatts, relchecks, relhastriggers, relhasindex FROM pg_class WHERE oid >= 16384 ORDER BY oid",
  "SELECT attrelid, attnum, attname, atttypid, attnotnull, atthasdef, attidentity, attgenerated, attisdropped FROM pg_attribute WHERE attrelid >= 16384 ORDER BY 1, 2",
  "SELECT oid, conname, contype, conrelid, confrelid, conindid, condeferrable, convalidated, pg_get_constraintdef(oid) FROM pg_constraint WHERE oid >= 16384 ORDER BY oid",
  "SELECT indexrelid, indrelid, indisunique, indimmediate, pg_get_indexdef(indexrelid) FROM pg_index WHERE indexrelid >= 16384 ORDER BY 1",
  "SELECT adrelid, adnum, pg_get_expr(adbin, adrelid) FROM pg_attrdef WHERE adrelid >= 16384 ORDER BY 1, 2",
  "SELECT * FROM pg_sequence ORDER BY 1",
  "SELECT oid, nspname FROM pg_namespace WHERE nspname NOT LIKE 'pg\\_%' ORDER BY 1",
  "SELECT objoid, objsubid, description FROM pg_description WHERE objoid >= 16384 ORDER BY 1, 2",
  "SELECT starelid, staattnum FROM pg_statistic ORDER BY 1, 2",
  "SELECT * FROM t ORDER BY a",
  "SELECT * FROM c ORDER BY 1",
  "SELECT * FROM s.inner_table",
  "SELECT a FROM t WHERE b = 'two'",
];

let db: EmbeddedDatabase;

async function state(): Promise<unknown[]> {
  const rows: unknown[] = [];
  for (const sql of CATALOGUE) {
    // pg_statistic is not readable by everyone's idea of a view; what cannot be asked is no part of the state.
    rows.push((await db.query(sql).catch((error: { code?: string }) => ({ rows: [error.code] }))).rows);
  }
  return rows;
}

beforeAll(async () => {
  db = await open({ memory: true });
  for (const sql of [
    "CREATE EXTENSION vector",
    "CREATE TABLE t (a int PRIMARY KEY, b text DEFAULT 'none', v vector(2), h int GENERATED ALWAYS AS (a + 1) STORED, CHECK (a > 0))",
    "CREATE INDEX t_b ON t (b)",
    "CREATE TABLE p (id int PRIMARY KEY)",
    "CREATE TABLE c (x int CONSTRAINT c_x_fkey REFERENCES t, y serial)",
    "CREATE SEQUENCE own",
    "CREATE SCHEMA s",
    "CREATE TABLE s.inner_table (a int REFERENCES public.p)",
    "COMMENT ON TABLE t IS 'as it was'",
    "INSERT INTO t (a, b, v) VALUES (1, 'one', '[1,2]'), (2, 'two', '[3,4]')",
    "INSERT INTO c VALUES (1), (2)",
  ])
    await db.query(sql);
});
afterAll(() => db.close());

test.each(STATEMENTS)("%s", async (sql) => {
  const before = await state();
  await db.query("BEGIN");
  await db.query("SAVEPOINT before");
  await db.query(sql);
  await db.query("ROLLBACK TO before");
  expect(await state()).toEqual(before);
  await db.query(sql);
  await db.query("ROLLBACK");
  expect(await state()).toEqual(before);
  // What was undone leaves nothing in the way.
  await db.query(
    "INSERT INTO t (a, b) VALUES (3, 'three'); DELETE FROM c; DELETE FROM t WHERE a = 3; INSERT INTO c VALUES (1, 1), (2, 2)",
  );
  await expect(db.query("INSERT INTO c VALUES (9)")).rejects.toMatchObject({ code: "23503" });
  await expect(db.query("INSERT INTO t VALUES (-1)")).rejects.toMatchObject({ code: "23514" });
});
