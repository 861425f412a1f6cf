// Tables for the reader and one JSON line for programs.
import { writeFileSync } from "node:fs";

/** Prints rows of cells in aligned columns; the first row is the head. */
export function printTable(rows: readonly (readonly string[])[]): void {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  for (const row of rows) {
    console.log(
      row
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join("  ")
        .trimEnd(),
    );
  }
  console.log();
}

/** The JSON line, also into a file where one is given. */
export function printJson(results: unknown, file: string | undefined): void {
  console.log(JSON.stringify(results));
  if (file !== undefined) writeFileSync(file, `${JSON.stringify(results, null, 1)}\n`);
}

export function ratio(ours: number, theirs: number): string {
  return `${(ours / theirs).toFixed(2)}x`;
}
