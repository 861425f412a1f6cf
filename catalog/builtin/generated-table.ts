// Reader of one generated table (catalog/generated/*.ts; catalog/generate/generate.ts writes them and defines the format),
// with the product's own rows behind PostgreSQL's. Rows stay text until somebody asks for a field: a worker that only ever
// adds integers never decodes pg_proc's 3,000 rows.
import { assert, must } from "../../common/assert.ts";

/** A row of ours for a system table; columns that are left out have the most frequent value of PostgreSQL's rows. */
export type OwnRow = Readonly<Record<string, string | number | boolean | null>>;

export class GeneratedTable {
  readonly columns: readonly string[];
  readonly #defaults: readonly (string | null)[];
  /** A line of the generated text, decoded when first asked for and not kept; or a row of ours. */
  readonly #rows: readonly (string | OwnRow)[];

  constructor(text: string, own: readonly OwnRow[] = []) {
    const lines = text.split("\n");
    this.columns = must(lines[0], "a header line").split("\t");
    this.#defaults = must(lines[1], "a line of defaults").split("\t").map(decode);
    this.#rows = [...lines.slice(2), ...own];
    for (const row of own) {
      for (const column of Object.keys(row))
        assert(this.columns.includes(column), `a system column named ${column}`);
    }
  }

  get rowCount(): number {
    return this.#rows.length;
  }

  position(column: string): number {
    const position = this.columns.indexOf(column);
    assert(position >= 0, `a generated column named ${column}`);
    return position;
  }

  /** One field as PostgreSQL's text; null = NULL. Cheaper than `fields` for leading columns. */
  field(row: number, position: number): string | null {
    const content = must(this.#rows[row], "a row of the generated table");
    if (typeof content !== "string") return this.#ownField(content, position);
    let start = 0;
    for (let skipped = 0; skipped < position; skipped++) {
      const tab = content.indexOf("\t", start);
      if (tab < 0) return this.#defaults[position] ?? null;
      start = tab + 1;
    }
    const end = content.indexOf("\t", start);
    const raw = content.slice(start, end < 0 ? content.length : end);
    return raw === "" ? (this.#defaults[position] ?? null) : decode(raw);
  }

  /** All fields of a row, in column order. */
  fields(row: number): (string | null)[] {
    const content = must(this.#rows[row], "a row of the generated table");
    if (typeof content !== "string")
      return this.columns.map((_, position) => this.#ownField(content, position));
    const raw = content.split("\t");
    return this.#defaults.map((value, position) => {
      const text = raw[position];
      return text === undefined || text === "" ? value : decode(text);
    });
  }

  /** Rows by the value of one column: what the look-ups by oid and by name are made of. */
  groupBy(column: string): Map<string, number[]> {
    const position = this.position(column);
    const groups = new Map<string, number[]>();
    for (let row = 0; row < this.rowCount; row++) {
      const value = this.field(row, position) ?? "";
      const group = groups.get(value);
      if (group === undefined) groups.set(value, [row]);
      else group.push(row);
    }
    return groups;
  }

  #ownField(row: OwnRow, position: number): string | null {
    const value = row[must(this.columns[position], "a column position")];
    if (value === undefined) return this.#defaults[position] ?? null;
    if (value === null) return null;
    return typeof value === "boolean" ? (value ? "t" : "f") : String(value);
  }
}

const ESCAPES: Readonly<Record<string, string>> = { t: "\t", n: "\n", r: "\r", "\\": "\\" };

function decode(raw: string): string | null {
  if (!raw.includes("\\")) return raw;
  if (raw === "\\N") return null;
  if (raw === "\\e") return "";
  return raw.replace(/\\(.)/g, (_, letter: string) => must(ESCAPES[letter], "a known escape"));
}

/** Elements of PostgreSQL's text form of a flat array of plain words: "{a,b}", or "1 2" as oidvector prints. */
export function words(text: string): string[] {
  const inner = text.startsWith("{") ? text.slice(1, -1) : text;
  if (inner === "") return [];
  const separator = text.startsWith("{") ? "," : " ";
  return inner.split(separator).map((word) => (word.startsWith('"') ? word.slice(1, -1) : word));
}
