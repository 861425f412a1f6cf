// Runs every test/slt/**/*.slt against the product over the wire, each file in a database of its own.
// UPDATE=1 REFERENCE=postgresql://... rewrites the expectations from that server (PostgreSQL 15, with pgvector for vector/):
// answers are PostgreSQL's, never ours. Files under omendb/ hold what PostgreSQL has not and are never re-recorded.
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join, relative } from "node:path";
import type { Client } from "pg";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { connect } from "../support/client.ts";
import { root, startServer, type TestServer } from "../support/server.ts";
import { parseSlt, printRow, printSlt, type SltRecord } from "./format.ts";

const folder = join(root, "test/slt");
const files = readdirSync(folder, { recursive: true, encoding: "utf8" })
  .filter((name) => name.endsWith(".slt"))
  .toSorted();
const reference = process.env["UPDATE"] === "1" ? process.env["REFERENCE"] : undefined;

type Outcome =
  | { readonly rows: readonly string[]; readonly count: number }
  | { readonly code: string; readonly message: string };

async function runRecord(client: Client, record: SltRecord): Promise<Outcome> {
  try {
    const result = await client.query({ text: record.sql, rowMode: "array" });
    const last = Array.isArray(result) ? result.at(-1) : result;
    const rows = (last.rows as (string | null)[][]).map(printRow);
    return { rows: record.rowSort ? rows.toSorted() : rows, count: last.rowCount ?? 0 };
  } catch (error) {
    const { code, message } = error as { code?: string; message: string };
    return { code: code ?? "no code", message };
  }
}

/** What the record would have to say to describe `outcome`. */
function describeOutcome(record: SltRecord, outcome: Outcome): SltRecord {
  if ("code" in outcome) {
    return {
      ...record,
      kind: "statement",
      expectation: `error ${outcome.code} ${outcome.message}`,
      expected: [],
    };
  }
  if (record.kind === "query") return { ...record, expected: outcome.rows };
  return record.expectation.startsWith("count")
    ? { ...record, expectation: `count ${outcome.count}` }
    : { ...record, expectation: "ok" };
}

/** Runs a file and returns what it should say: equal to the file when all holds. */
async function runFile(url: string, records: readonly SltRecord[], database: string): Promise<SltRecord[]> {
  const admin = await connect(url, "postgres");
  await admin.query(`CREATE DATABASE ${database}`);
  const client = await connect(url, database);
  const actual: SltRecord[] = [];
  try {
    for (const record of records) {
      actual.push(describeOutcome(record, await runRecord(client, record)));
    }
  } finally {
    await client.end();
    await admin.query(`DROP DATABASE ${database}`).catch(() => undefined);
    await admin.end();
  }
  return actual;
}

describe("sqllogictest", () => {
  let server: TestServer | undefined;
  beforeAll(async () => {
    if (reference === undefined) server = await startServer(["--memory"]);
  });
  afterAll(async () => {
    await server?.stop();
  });

  for (const [index, file] of files.entries()) {
    const path = join(folder, file);
    it(relative(folder, path), async () => {
      const text = readFileSync(path, "utf8");
      const records = parseSlt(text);
      expect(records.length).toBeGreaterThan(0);
      if (reference !== undefined) {
        if (!file.startsWith("omendb/"))
          writeFileSync(path, printSlt(await runFile(reference, records, `slt_${index}`)));
        return;
      }
      const url = server?.url ?? "";
      expect(printSlt(await runFile(url, records, `slt_${index}`))).toBe(printSlt(records));
    });
  }
});
