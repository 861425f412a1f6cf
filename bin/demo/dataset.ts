// The 2,000 package descriptions that ship with the product (data/demo): rows as COPY text, and search texts with their
// embeddings. Half-precision numbers become decimal text, as any client would send them.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";

export const DIMENSIONS = 384;

export interface DemoQuery {
  readonly text: string;
  /** pgvector's text form. */
  readonly embedding: string;
}

export interface DemoDataset {
  readonly rowCount: number;
  /** COPY text lines, one per row, in the column order of `packages`. */
  readonly lines: () => Generator<string>;
  readonly query: (text: string) => DemoQuery;
}

interface PackageRow {
  readonly id: number;
  readonly package: string;
  readonly section: string;
  readonly priority: string;
  readonly size_kb: number;
  readonly maintainer: string;
  readonly synopsis: string;
  readonly body: string;
}

/** Reads the files below `folder`; about 2 MB. */
export function loadDataset(folder: string): DemoDataset {
  const rows = gunzipSync(readFileSync(join(folder, "packages.jsonl.gz")))
    .toString("utf8")
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line) as PackageRow);
  const halves = readFileSync(join(folder, "embeddings.f16"));
  const queries = new Map<string, string>();
  for (const line of readFileSync(join(folder, "queries.jsonl"), "utf8").trimEnd().split("\n")) {
    const query = JSON.parse(line) as { text: string; embedding: string };
    queries.set(query.text, vectorText(Buffer.from(query.embedding, "base64"), 0));
  }
  return {
    rowCount: rows.length,
    *lines() {
      for (const [index, row] of rows.entries()) {
        const values = [
          row.id,
          row.package,
          row.section,
          row.priority,
          row.size_kb,
          row.maintainer,
          row.synopsis,
          row.body,
        ];
        yield `${values.map((value) => copyText(String(value))).join("\t")}\t${vectorText(halves, index)}\n`;
      }
    },
    query(text) {
      const embedding = queries.get(text);
      if (embedding === undefined) throw new Error(`the demo has no query "${text}"`);
      return { text, embedding };
    },
  };
}

/** COPY's text escapes. */
function copyText(value: string): string {
  return value.replace(/[\\\n\r\t]/g, (character) => {
    switch (character) {
      case "\n":
        return "\\n";
      case "\r":
        return "\\r";
      case "\t":
        return "\\t";
      default:
        return "\\\\";
    }
  });
}

/** Row `index` of a block of float16 embeddings as "[...]". */
function vectorText(halves: Buffer, index: number): string {
  const parts: string[] = [];
  const start = index * DIMENSIONS * 2;
  for (let at = 0; at < DIMENSIONS; at++)
    parts.push(String(Math.fround(halfToNumber(halves.readUInt16LE(start + at * 2)))));
  return `[${parts.join(",")}]`;
}

/** IEEE 754 binary16. */
function halfToNumber(bits: number): number {
  const sign = bits >> 15 === 1 ? -1 : 1;
  const exponent = (bits >> 10) & 0x1f;
  const fraction = bits & 0x3ff;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 0x1f) return fraction === 0 ? sign * Infinity : NaN;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}
