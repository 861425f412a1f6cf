// The rows of the random workload: one column of every type that can be searched. Numbers are multiples of 1/16, so that a
// vector, also one of halves, reads back as the text it was written as.
import type { Random } from "./random.ts";

export const DIMENSIONS = 12;
export const SPARSE_DIMENSIONS = 40;
export const BITS = 32;
export const TABLES = ["t0", "t1"] as const;
export type Table = (typeof TABLES)[number];

/** Whose a row is: one of the clients. Nobody else writes it. */
const COLUMN_TYPES = `id bigint PRIMARY KEY, owner int NOT NULL, cat int, v vector(${DIMENSIONS}), h halfvec(${DIMENSIONS}),
  s sparsevec(${SPARSE_DIMENSIONS}), b bit(${BITS}), body text, note text`;
export const createTable = (table: Table): string => `CREATE TABLE ${table} (${COLUMN_TYPES})`;

/** What a client's rows are compared by. */
export const COLUMNS = "id, cat, v, h, s, b, body, note";
/** What COPY reads as text: clients may have added columns. */
export const ALL_COLUMNS = "id, owner, cat, v, h, s, b, body, note";

const WORDS = "red green blue apple pear stone river cloud iron copper silver gold".split(" ");

export interface Row {
  readonly table: Table;
  readonly id: number;
  readonly cat: number;
  readonly v: string;
  readonly h: string | null;
  readonly s: string;
  readonly b: string;
  readonly body: string;
  readonly note: string;
}

/** A client's rows by table and id. */
export type Rows = Map<string, Row>;

export const keyOf = (table: Table, id: number | string): string => `${table}/${id}`;

/** One row as a line of text: what the model holds and what the database gives must be the same line. */
export function lineOf(table: Table, columns: readonly (string | number | null)[]): string {
  return `${table}|${columns.map((column) => column ?? "NULL").join("|")}`;
}

export const lineOfRow = (row: Row): string =>
  lineOf(row.table, [row.id, row.cat, row.v, row.h, row.s, row.b, row.body, row.note]);

const sixteenths = (value: number): number => Math.round(value * 16) / 16 || 0;

/** A vector near one of eight centres, as text. */
export function vectorText(random: Random): string {
  const centre = random.integer(8);
  const element = (_: unknown, i: number): number =>
    sixteenths(random.gauss() + (i % 3 === centre % 3 ? centre : 0));
  return `[${Array.from({ length: DIMENSIONS }, element).join(",")}]`;
}

/** A sparse vector with eight elements or more, so that most of them have some in common. */
export function sparseText(random: Random): string {
  const offset = random.integer(4);
  const step = 2 + random.integer(2);
  const elements: string[] = [];
  for (let i = 1 + offset; i <= SPARSE_DIMENSIONS; i += step) {
    elements.push(`${i}:${sixteenths(1 + random.between(0, 2))}`);
  }
  return `{${elements.join(",")}}/${SPARSE_DIMENSIONS}`;
}

export const bitText = (random: Random): string =>
  Array.from({ length: BITS }, () => random.integer(2)).join("");

export const words = (random: Random, count: number): string =>
  Array.from({ length: count }, () => random.pick(WORDS)).join(" ");

export function randomRow(random: Random, table: Table, id: number): Row {
  return {
    table,
    id,
    cat: random.integer(10),
    v: vectorText(random),
    h: random.chance(0.1) ? null : vectorText(random),
    s: sparseText(random),
    b: bitText(random),
    body: words(random, 6),
    note: random.pick(WORDS),
  };
}

/** The columns in the table's order, `owner` included. */
const valuesOf = (row: Row, owner: number): readonly (string | number | null)[] => [
  row.id,
  owner,
  row.cat,
  row.v,
  row.h,
  row.s,
  row.b,
  row.body,
  row.note,
];

/** One row of VALUES. No value holds a quote. */
export const literalOf = (row: Row, owner: number): string =>
  `(${valuesOf(row, owner)
    .map((value) => (value === null ? "NULL" : `'${value}'`))
    .join(",")})`;

/** Rows as the text that COPY of ALL_COLUMNS reads. */
export const copyTextOf = (rows: readonly Row[], owner: number): string =>
  rows
    .map(
      (row) =>
        `${valuesOf(row, owner)
          .map((value) => value ?? "\\N")
          .join("\t")}\n`,
    )
    .join("");
