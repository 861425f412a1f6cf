// One row of COPY TO in text or csv form, as PostgreSQL 15 writes it (copyto.c: CopyAttributeOutText, CopyAttributeOutCSV).
import type { CopyFormat } from "./format.ts";

const ESCAPES: Readonly<Record<string, string>> = {
  "\b": "\\b",
  "\f": "\\f",
  "\n": "\\n",
  "\r": "\\r",
  "\t": "\\t",
  "\v": "\\v",
  "\\": "\\\\",
};

/** Turns the text forms of a row's values (undefined = NULL) into its line, with the line ending. */
export type RowWriter = (fields: readonly (string | undefined)[]) => string;

export function rowWriter(format: CopyFormat): RowWriter {
  return format.format === "csv" ? csvWriter(format, format.forceQuote) : textWriter(format);
}

/** The heading names the columns; FORCE_QUOTE does not apply to it. */
export function headingLine(names: readonly string[], format: CopyFormat): string {
  return (format.format === "csv" ? csvWriter(format, []) : textWriter(format))(names);
}

/** Control characters as \letter, the delimiter and the backslash behind a backslash. */
function textWriter({ delimiter, nullString }: CopyFormat): RowWriter {
  const special = new RegExp(`[\\b\\f\\n\\r\\t\\v\\\\${escapeForClass(delimiter)}]`, "g");
  const escape = (found: string): string => ESCAPES[found] ?? `\\${found}`;
  return (fields) =>
    `${fields.map((field) => (field === undefined ? nullString : field.replace(special, escape))).join(delimiter)}\n`;
}

/** Quoted where it must be: equal to the null string, holding delimiter, quote or line end, or looking like the end mark. */
function csvWriter(format: CopyFormat, forceQuote: readonly number[]): RowWriter {
  const { delimiter, nullString, quote, escape } = format;
  const forced = new Set(forceQuote);
  const needsQuote = (field: string, isOnly: boolean): boolean =>
    field === nullString ||
    (isOnly && field === "\\.") ||
    field.includes(delimiter) ||
    field.includes(quote) ||
    field.includes("\n") ||
    field.includes("\r");
  const special = new RegExp(`[${escapeForClass(quote)}${escapeForClass(escape)}]`, "g");
  const write = (field: string | undefined, position: number, isOnly: boolean): string => {
    if (field === undefined) return nullString;
    if (!forced.has(position) && !needsQuote(field, isOnly)) return field;
    return quote + field.replace(special, (found) => escape + found) + quote;
  };
  return (fields) =>
    `${fields.map((field, position) => write(field, position, fields.length === 1)).join(delimiter)}\n`;
}

function escapeForClass(character: string): string {
  return character.replace(/[\\\]^-]/g, "\\$&");
}
