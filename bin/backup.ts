// `omendb backup DIR`: asks a running server for a copy of its data folder as of one commit. The server writes it, so DIR is a
// folder of its machine; transactions go on meanwhile.
import { resolve } from "node:path";
import pg from "pg";
import { fail } from "./failure.ts";

const DEFAULT_URL = "postgresql://postgres@127.0.0.1:5432/postgres";

/** Backs the server at `url` up into `folder`, new or empty; exits with the reason when that fails. */
export async function backup(folder: string, url: string | undefined): Promise<void> {
  const client = new pg.Client({ connectionString: url ?? process.env["OMENDB_URL"] ?? DEFAULT_URL });
  client.on("error", () => undefined);
  await client.connect().catch((error: Error) => fail(`cannot connect: ${error.message}`));
  try {
    const target = resolve(folder);
    const answer = await client.query<{ commit: string }>("SELECT database_backup($1) AS commit", [target]);
    process.stdout.write(`backed up to ${target} as of commit ${answer.rows[0]?.commit ?? ""}\n`);
  } catch (error) {
    fail(`backup failed: ${error instanceof Error ? error.message : String(error)}`);
  } finally {
    await client.end();
  }
}
