// Judges a whole database in one snapshot, without its clients: after a kill, in a restored backup, or while they write.
import { connect } from "../../support/client.ts";
import { sumOf } from "./model.ts";
import { COLUMNS, lineOf, TABLES } from "./rows.ts";
import { SHARED_INVARIANTS } from "./shared.ts";

/** How far each client may be: from what was acknowledged to what was begun. */
export interface Bounds {
  readonly atLeast: readonly number[];
  /** Asked when the answer is there: the clients go on meanwhile. */
  readonly atMost: () => readonly number[];
}

/** What is wrong with the database at `url`. */
export async function faultsOf(url: string, bounds: Bounds): Promise<string[]> {
  const client = await connect(url, "postgres");
  const read = async (text: string): Promise<(string | null)[][]> =>
    (await client.query<(string | null)[]>({ text, rowMode: "array" })).rows;
  try {
    await client.query("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY");
    const faults: string[] = [];
    for (const sql of SHARED_INVARIANTS) {
      if ((await read(sql))[0]?.[0] !== "t") faults.push(`false: ${sql}`);
    }
    const progress = new Map(
      (await read("SELECT client, n, sum FROM progress")).map(([id, ...rest]) => [id, rest]),
    );
    const lines = new Map<string, string[]>();
    for (const table of TABLES) {
      for (const [owner, ...columns] of await read(`SELECT owner, ${COLUMNS} FROM ${table}`)) {
        const own = lines.get(String(owner)) ?? [];
        own.push(lineOf(table, columns));
        lines.set(String(owner), own);
      }
    }
    const atMost = bounds.atMost();
    bounds.atLeast.forEach((least, owner) => {
      const [n, sum] = progress.get(String(owner)) ?? ["0", sumOf([])];
      const most = atMost[owner] ?? least;
      if (Number(n) < least || Number(n) > most)
        faults.push(`client ${owner} at ${n}, not ${least} to ${most}`);
      const own = lines.get(String(owner)) ?? [];
      if (sumOf(own) !== sum)
        faults.push(`the ${own.length} rows of client ${owner} are not those of its transaction ${n}`);
    });
    return faults;
  } finally {
    await client.end().catch(() => undefined);
  }
}
