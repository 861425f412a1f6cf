// The statements compared with PostgreSQL 15's recorded answers: their schema and file format.

export const RECORDED_SCHEMA = `
  CREATE TABLE t (a int PRIMARY KEY, b text, c int8, d numeric, e date, f int[], g varchar(10), h json, i numeric(10,2));
  CREATE TABLE u (a int, note text);
`;

export interface RecordedStatement {
  readonly sql: string;
  /** Inferred parameter types. */
  readonly parameters?: readonly number[];
  /** name, type, modifier; absent when the statement has parameters or failed while running. */
  readonly columns?: readonly (readonly [string, number, number])[];
  readonly error?: {
    readonly code: string;
    readonly message: string;
    readonly hint?: string | undefined;
    readonly detail?: string | undefined;
    readonly position?: number | undefined;
  };
}

/** The recording, as test/record/planner.ts wrote it. */
export const recordedPath = new URL("recorded/statements.json", import.meta.url);

export function splitStatements(text: string): readonly string[] {
  return text
    .split(";\n")
    .map((statement) => statement.trim())
    .filter((statement) => statement !== "");
}
