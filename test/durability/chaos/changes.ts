// Statements that change a client's own rows, with what they make of the model.
import { copyBinaryOf, BINARY_COLUMNS } from "./copy-binary.ts";
import type { Draft } from "./model.ts";
import type { Random } from "./random.ts";
import {
  ALL_COLUMNS,
  bitText,
  copyTextOf,
  literalOf,
  randomRow,
  type Row,
  sparseText,
  type Table,
  vectorText,
  words,
} from "./rows.ts";

/** A change is made in the draft when it is chosen; `rowCount` rows are what the server must report. */
export interface Change {
  readonly rowCount: number;
  /** The statement, without RETURNING; or for COPY its target and data. */
  readonly work: { readonly sql: string } | { readonly target: string; readonly data: Buffer | string };
}

/** Ids are never used again, and a client's differ from the others'. */
export class Ids {
  readonly #client: number;
  readonly #clients: number;
  #next = 0;

  constructor(client: number, clients: number) {
    this.#client = client;
    this.#clients = clients;
  }

  next(): number {
    return this.#next++ * this.#clients + this.#client;
  }
}

const SIZES = [1, 1, 5, 40, 250];
/** Beyond so many rows in a table a client inserts no more. */
const ENOUGH = 900;

function freshRows(random: Random, draft: Draft, table: Table, ids: Ids): Row[] {
  const count = draft.in(table).length > ENOUGH ? 1 : random.pick(SIZES);
  const rows = Array.from({ length: count }, () => randomRow(random, table, ids.next()));
  if (!random.chance(0.15)) return rows;
  // Many equal vectors are hard for a graph.
  const [{ v, s, b }] = rows as [Row];
  return rows.map((row) => ({ ...row, v, s, b }));
}

function insert(random: Random, draft: Draft, table: Table, owner: number, ids: Ids): Change {
  const rows = freshRows(random, draft, table, ids);
  for (const row of rows) draft.put(row);
  const values = rows.map((row) => literalOf(row, owner)).join(",");
  return { rowCount: rows.length, work: { sql: `INSERT INTO ${table} VALUES ${values}` } };
}

/** Some of the rows exist. */
function upsert(random: Random, draft: Draft, table: Table, owner: number, ids: Ids): Change {
  const rows = freshRows(random, draft, table, ids);
  const existing = draft.in(table);
  const again = new Map<number, Row>();
  for (let i = 0; existing.length > 0 && i < 4; i++) {
    const { id } = random.pick(existing);
    again.set(id, randomRow(random, table, id));
  }
  const values = [...rows, ...again.values()].map((row) => literalOf(row, owner)).join(",");
  for (const row of rows) draft.put(row);
  const sql = `INSERT INTO ${table} VALUES ${values} ON CONFLICT`;
  if (random.chance(0.3)) return { rowCount: rows.length, work: { sql: `${sql} DO NOTHING` } };
  const old = new Map(existing.map((row) => [row.id, row]));
  for (const row of again.values()) {
    draft.put({ ...(old.get(row.id) as Row), v: row.v, body: row.body, cat: row.cat });
  }
  return {
    rowCount: rows.length + again.size,
    work: { sql: `${sql} (id) DO UPDATE SET v = excluded.v, body = excluded.body, cat = excluded.cat` },
  };
}

/** Changes the rows whose id leaves `rest` by `divisor`; a statement that finds them by itself. */
function changeWhere(
  random: Random,
  draft: Draft,
  table: Table,
  owner: number,
  divisors: readonly number[],
  change: (row: Row) => Row | undefined,
  verb: (where: string) => string,
): Change {
  const divisor = random.pick(divisors);
  const rest = random.integer(divisor);
  const rows = draft.in(table).filter((row) => row.id % divisor === rest);
  for (const row of rows) {
    const changed = change(row);
    if (changed) draft.put(changed);
    else draft.remove(row);
  }
  return {
    rowCount: rows.length,
    work: { sql: verb(`WHERE owner = ${owner} AND id % ${divisor} = ${rest}`) },
  };
}

function update(random: Random, draft: Draft, table: Table, owner: number): Change {
  const [v, s, b, body] = [vectorText(random), sparseText(random), bitText(random), words(random, 5)];
  const divisors = [37, 61, 97];
  switch (random.integer(4)) {
    case 0:
      return changeWhere(
        random,
        draft,
        table,
        owner,
        [5, 7, 11],
        (row) => ({ ...row, cat: (row.cat + 1) % 10 }),
        (where) => `UPDATE ${table} SET cat = (cat + 1) % 10 ${where}`,
      );
    case 1:
      return changeWhere(
        random,
        draft,
        table,
        owner,
        divisors,
        (row) => ({ ...row, s, b }),
        (where) => `UPDATE ${table} SET s = '${s}', b = '${b}' ${where}`,
      );
    case 2:
      return changeWhere(
        random,
        draft,
        table,
        owner,
        divisors,
        (row) => ({ ...row, h: row.v, note: "gold" }),
        (where) => `UPDATE ${table} SET h = v, note = 'gold' ${where}`,
      );
    default:
      return changeWhere(
        random,
        draft,
        table,
        owner,
        divisors,
        (row) => ({ ...row, v, body }),
        (where) => `UPDATE ${table} SET v = '${v}', body = '${body}' ${where}`,
      );
  }
}

function remove(random: Random, draft: Draft, table: Table, owner: number): Change {
  const divisors = [7, 13, 29, 53];
  const gone = (): undefined => undefined;
  return changeWhere(random, draft, table, owner, divisors, gone, (where) => `DELETE FROM ${table} ${where}`);
}

/** A statement that changes `owner`'s rows of `table`, and `draft` with it. */
export function statement(random: Random, draft: Draft, table: Table, owner: number, ids: Ids): Change {
  const choice = random.integer(10);
  if (choice < 4) return insert(random, draft, table, owner, ids);
  if (choice < 5) return upsert(random, draft, table, owner, ids);
  if (choice < 8) return update(random, draft, table, owner);
  return remove(random, draft, table, owner);
}

/** COPY of rows, as text or binary. */
export function copy(random: Random, draft: Draft, table: Table, owner: number, ids: Ids): Change {
  const fresh = freshRows(random, draft, table, ids);
  const isBinary = random.chance(0.6);
  const rows = isBinary ? fresh.map((row) => ({ ...row, h: null })) : fresh;
  for (const row of rows) draft.put(row);
  return {
    rowCount: rows.length,
    work: isBinary
      ? { target: `${table} (${BINARY_COLUMNS}) FROM STDIN (FORMAT binary)`, data: copyBinaryOf(rows, owner) }
      : { target: `${table} (${ALL_COLUMNS}) FROM STDIN`, data: copyTextOf(rows, owner) },
  };
}
