// sqllogictest files: the subset we write.
//
//   statement ok | statement error 23505 duplicate key value ... | statement count 3      (SQLSTATE and message, in full)
//   query IT [rowsort]      types are for the reader (I integer, R real, T text); values compare as PostgreSQL prints them
//   SELECT ...
//   ----
//   1  a                    two spaces or a tab between columns in the file; NULL and (empty) stand for themselves
//
// Records are separated by empty lines; lines starting with # are comments. A blank result ends the record at once.

export interface SltRecord {
  readonly line: number;
  readonly kind: "statement" | "query";
  /** statement: "ok", "error XXXXX message" or "count n". */
  readonly expectation: string;
  readonly types: string;
  readonly rowSort: boolean;
  readonly sql: string;
  readonly expected: readonly string[];
  /** Comment and blank lines before the record, kept when a file is rewritten. */
  readonly preamble: readonly string[];
}

export function parseSlt(text: string): SltRecord[] {
  const lines = text.split("\n");
  const records: SltRecord[] = [];
  let preamble: string[] = [];
  for (let at = 0; at < lines.length; ) {
    const line = lines[at] as string;
    const head = /^(statement|query)\s*(.*)$/.exec(line);
    if (head === null) {
      if (line.trim() !== "" && !line.startsWith("#"))
        throw new Error(`line ${at + 1}: not a record: ${line}`);
      preamble.push(line);
      at++;
      continue;
    }
    const start = at++;
    const sql: string[] = [];
    while (at < lines.length && lines[at] !== "" && lines[at] !== "----") sql.push(lines[at++] as string);
    const expected: string[] = [];
    if (lines[at] === "----") {
      at++;
      while (at < lines.length && lines[at] !== "") expected.push(lines[at++] as string);
    }
    const rest = (head[2] ?? "").trim();
    const [types = "", ...flags] = head[1] === "query" ? rest.split(/\s+/) : [];
    records.push({
      line: start + 1,
      kind: head[1] === "query" ? "query" : "statement",
      expectation: head[1] === "query" ? "" : rest,
      types,
      rowSort: flags.includes("rowsort"),
      sql: sql.join("\n"),
      expected,
      preamble,
    });
    preamble = [];
  }
  return records;
}

export function printSlt(records: readonly SltRecord[]): string {
  return records
    .map((record) => {
      const head =
        record.kind === "query"
          ? `query ${record.types}${record.rowSort ? " rowsort" : ""}`
          : `statement ${record.expectation}`;
      const result = record.kind === "query" ? ["----", ...record.expected] : [];
      return [...record.preamble, head, record.sql, ...result].join("\n");
    })
    .join("\n")
    .concat("\n");
}

/** One result row as a line of the file. */
export function printRow(row: readonly (string | null)[]): string {
  return row
    .map((value) => (value === null ? "NULL" : value === "" ? "(empty)" : value.replaceAll("\n", "\\n")))
    .join("  ");
}
