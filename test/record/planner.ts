// Asks a PostgreSQL 15 what it makes of the statements in planner/testing/recorded/statements.sql: column names and types, parameter types, or
// the error with all its fields. Run when the list changes: POSTGRES_URL=... node --import tsx test/record/planner.ts
import { readFileSync, writeFileSync } from "node:fs";
import pg from "pg";
import { fileURLToPath } from "node:url";
import { RECORDED_SCHEMA, type RecordedStatement, splitStatements } from "../../planner/testing/recorded.ts";

const folder = fileURLToPath(new URL("../../planner/testing/recorded/", import.meta.url));
const statementsPath = `${folder}statements.sql`;
const recordedPath = `${folder}statements.json`;
const url = process.env.POSTGRES_URL;
if (url === undefined) throw new Error("POSTGRES_URL names the PostgreSQL 15 to record from");
const client = new pg.Client({ connectionString: url });
await client.connect();
await client.query("SET client_min_messages = warning");
await client.query("DROP SCHEMA IF EXISTS recorded CASCADE");
await client.query("CREATE SCHEMA recorded");
await client.query("SET search_path = recorded");
await client.query(RECORDED_SCHEMA);
const recorded: RecordedStatement[] = [];
for (const sql of splitStatements(readFileSync(statementsPath, "utf8")))
  recorded.push(await record(client, sql));
await client.query("DROP SCHEMA recorded CASCADE");
await client.end();
writeFileSync(recordedPath, `${JSON.stringify(recorded, undefined, 1)}\n`);

/** Positions count from the statement's own start: PREPARE's words in front are taken off. */
async function record(on: pg.Client, sql: string): Promise<RecordedStatement> {
  const prefix = "PREPARE recorded AS ";
  try {
    await on.query("DEALLOCATE ALL");
    await on.query(prefix + sql);
    const { rows } = await on.query(
      "SELECT parameter_types::oid[]::int[] AS types FROM pg_prepared_statements WHERE name = 'recorded'",
    );
    const parameters = (rows[0] as { types: number[] }).types;
    if (parameters.length > 0) return { sql, parameters };
    await on.query("BEGIN");
    try {
      const { fields } = await on.query(sql);
      return { sql, parameters, columns: fields.map((f) => [f.name, f.dataTypeID, f.dataTypeModifier]) };
    } catch {
      // Planned well, failed while running: the planner is not asked for more.
      return { sql, parameters };
    } finally {
      await on.query("ROLLBACK");
    }
  } catch (thrown) {
    const error = thrown as {
      code: string;
      message: string;
      hint?: string;
      detail?: string;
      position?: string;
    };
    const position = error.position === undefined ? undefined : Number(error.position) - prefix.length;
    return {
      sql,
      error: { code: error.code, message: error.message, hint: error.hint, detail: error.detail, position },
    };
  }
}
