// docs/compat.md says what is refused; here it is tried: every statement of its `sql` blocks must answer 0A000.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type EmbeddedDatabase, open } from "../../index.ts";
import { root } from "../support/server.ts";

const page = readFileSync(join(root, "docs/compat.md"), "utf8");
const statements = [...page.matchAll(/^```sql\n([\s\S]*?)^```$/gm)].flatMap(([, block = ""]) =>
  block.trimEnd().split("\n"),
);

let db: EmbeddedDatabase;
beforeAll(async () => {
  db = await open({ memory: true });
  await db.query("CREATE EXTENSION vector");
  await db.query(
    "CREATE TABLE t (id int PRIMARY KEY, a int, b text, j jsonb, v vector(3), s sparsevec(3), list int[]); CREATE SEQUENCE t_seq",
  );
});
afterAll(() => db.close());

test("the page has statements", () => expect(statements.length).toBeGreaterThan(50));

test.each(statements)("%s", async (sql) => {
  // SET CONSTRAINTS and two-phase commit mean something in a transaction block only.
  await db.query("BEGIN");
  try {
    await expect(db.query(sql)).rejects.toMatchObject({ code: "0A000" });
  } finally {
    await db.query("ROLLBACK");
  }
});
