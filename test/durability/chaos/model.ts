// What one client's rows must be. With every transaction a client writes what its rows are afterwards, as a sum, into `progress`:
// so a state of the database, found after a kill, in a backup or in a snapshot, can be judged without the client.
import { createHash } from "node:crypto";
import { keyOf, lineOfRow, type Row, type Rows, type Table } from "./rows.ts";

export const CREATE_PROGRESS =
  "CREATE TABLE progress (client int PRIMARY KEY, n int NOT NULL, sum text NOT NULL)";

/** The sum of some lines, in whatever order they come. */
export function sumOf(lines: Iterable<string>): string {
  const hash = createHash("sha1");
  for (const line of Array.from(lines).toSorted()) hash.update(line).update("\n");
  return hash.digest("hex");
}

export const sumOfRows = (rows: Rows): string => sumOf(Array.from(rows.values(), lineOfRow));

/** Writes transaction `n` of `client` into `progress`; changes no row if it is not the one after the last. */
export const progressSql = (client: number, n: number, sum: string): string =>
  `INSERT INTO progress VALUES (${client}, ${n}, '${sum}')
   ON CONFLICT (client) DO UPDATE SET n = excluded.n, sum = excluded.sum WHERE progress.n = excluded.n - 1`;

/** What a change would make of some rows: looked at like `Rows`, without touching them. */
export class Draft {
  readonly rows: Rows;

  constructor(rows: Rows) {
    this.rows = new Map(rows);
  }

  in(table: Table): Row[] {
    return Array.from(this.rows.values()).filter((row) => row.table === table);
  }

  put(row: Row): void {
    this.rows.set(keyOf(row.table, row.id), row);
  }

  remove(row: Row): void {
    this.rows.delete(keyOf(row.table, row.id));
  }

  has(table: Table, id: number): boolean {
    return this.rows.has(keyOf(table, id));
  }
}
