// COPY TO against what PostgreSQL 15 writes for the same rows and options, byte for byte (recorded/copy-out.json; UPDATE=1 with
// PGURL records again).
import { execFileSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { beforeAll, describe, expect, test } from "vitest";
import { Oid } from "../../../common/types/oid.ts";
import type { Datum } from "../../../common/types/type.ts";
import { executePlan } from "../../execution.ts";
import { options, planned, types, values } from "../../testing/support.ts";
import { copyOut } from "./copy-out.ts";
import { BINARY_FORMAT, CSV_FORMAT, type CopyFormat, TEXT_FORMAT } from "./format.ts";

const FILE = new URL("./recorded/copy-out.json", import.meta.url);

const TEXTS: readonly (string | null)[] = [
  "plain",
  "",
  null,
  "tab\there",
  "line\nbreak\r",
  "back\\slash",
  "\\N",
  "\\.",
  'quote"d',
  "a,b",
  "\b\f\v\u0001",
  "üñí",
  "a|b",
  " lead",
  "NULL",
];

/** name, our format, PostgreSQL's options. */
const CASES: readonly (readonly [string, CopyFormat, string])[] = [
  ["text", TEXT_FORMAT, ""],
  ["text with pipe", { ...TEXT_FORMAT, delimiter: "|" }, "(DELIMITER '|')"],
  [
    "text with null string and heading",
    { ...TEXT_FORMAT, nullString: "NULL", header: true },
    "(NULL 'NULL', HEADER)",
  ],
  ["csv", CSV_FORMAT, "(FORMAT csv)"],
  ["csv with heading", { ...CSV_FORMAT, header: true }, "(FORMAT csv, HEADER)"],
  [
    "csv, other characters",
    { ...CSV_FORMAT, delimiter: ";", quote: "'", escape: "\\", nullString: "NULL" },
    "(FORMAT csv, DELIMITER ';', QUOTE '''', ESCAPE '\\', NULL 'NULL')",
  ],
  ["csv, quotes forced", { ...CSV_FORMAT, forceQuote: [1] }, "(FORMAT csv, FORCE_QUOTE (c1))"],
  ["binary", BINARY_FORMAT, "(FORMAT binary)"],
];

let recorded: Record<string, string>;

beforeAll(() => {
  if (process.env["UPDATE"] === "1" && process.env["PGURL"] !== undefined) record(process.env["PGURL"]);
  recorded = JSON.parse(readFileSync(FILE, "utf8")) as Record<string, string>;
});

async function copied(
  oids: readonly number[],
  rows: readonly (readonly Datum[])[],
  format: CopyFormat,
  batchRows: number,
): Promise<string> {
  const progress = { rowCount: 0 };
  const stream = executePlan(planned(values(oids, rows)), options({ batchRows }));
  const pieces: Uint8Array[] = [];
  for await (const batch of copyOut(stream, format, types, progress)) pieces.push(...batch);
  expect(progress.rowCount).toBe(rows.length);
  return Buffer.concat(pieces).toString("base64");
}

describe.each([1, 3, 4096])("batches of %i rows", (batchRows) => {
  test.each(CASES)("%s", async (name, format) => {
    const rows = TEXTS.map((text, i): Datum[] => [i, text]);
    expect(await copied([Oid.int4, Oid.text], rows, format, batchRows)).toBe(recorded[name]);
  });

  test("a single column that looks like the end mark is quoted in csv", async () => {
    expect(await copied([Oid.text], [["\\."], ["x"]], CSV_FORMAT, batchRows)).toBe(
      recorded["csv, one column"],
    );
  });
});

function record(url: string): void {
  const literal = (text: string | null): string =>
    text === null ? "NULL" : `convert_from('\\x${Buffer.from(text).toString("hex")}', 'UTF8')`;
  const list = TEXTS.map((text, i) => `(${i}, ${literal(text)})`).join(", ");
  const copy = (query: string, copyOptions: string): string =>
    execFileSync("psql", ["-X", "-q", "-c", `COPY (${query}) TO STDOUT ${copyOptions}`, url]).toString(
      "base64",
    );
  const answers: Record<string, string> = {};
  for (const [name, , copyOptions] of CASES)
    answers[name] = copy(`SELECT * FROM (VALUES ${list}) t(c0, c1)`, copyOptions);
  answers["csv, one column"] = copy("SELECT * FROM (VALUES ('\\.'), ('x')) t(c0)", "(FORMAT csv)");
  writeFileSync(FILE, `${JSON.stringify(answers, undefined, 1)}\n`);
}
