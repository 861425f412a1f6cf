// Plays test/isolation/*.iso against the product over the wire, each case in a database of its own.
// UPDATE=1 REFERENCE=postgresql://... rewrites the answers, and who waited for whom, from that server (PostgreSQL 15).
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { root, startServer, type TestServer } from "../support/server.ts";
import { connect } from "../support/client.ts";
import { play } from "./play.ts";
import { type Case, parseTranscript, printTranscript, type Transcript } from "./transcript.ts";

const folder = join(root, "test/isolation");
const files = readdirSync(folder)
  .filter((name) => name.endsWith(".iso"))
  .toSorted();
const reference = process.env["UPDATE"] === "1" ? process.env["REFERENCE"] : undefined;

async function playInDatabase(
  url: string,
  database: string,
  transcript: Transcript,
  script: Case,
): Promise<Case> {
  const admin = await connect(url, "postgres");
  await admin.query(`CREATE DATABASE ${database}`);
  try {
    const setup = await connect(url, database);
    for (const sql of transcript.setup) await setup.query(sql);
    await setup.end();
    return await play({ url, database, recording: reference !== undefined }, script);
  } finally {
    await admin.query(`DROP DATABASE ${database}`).catch(() => undefined);
    await admin.end();
  }
}

describe("isolation", () => {
  let server: TestServer | undefined;
  beforeAll(async () => {
    if (reference === undefined) server = await startServer(["--memory"]);
  });
  afterAll(async () => {
    await server?.stop();
  });

  for (const [fileIndex, file] of files.entries()) {
    const path = join(folder, file);
    const transcript = parseTranscript(readFileSync(path, "utf8"));
    const played = new Map<Case, Case>();
    describe(file, () => {
      for (const [index, script] of transcript.cases.entries()) {
        it(script.name, { timeout: 60_000 }, async () => {
          const database = `iso_${fileIndex}_${index}`;
          const actual = await playInDatabase(reference ?? server?.url ?? "", database, transcript, script);
          played.set(script, actual);
          if (reference !== undefined) return;
          const only = (one: Case): string => printTranscript({ ...transcript, cases: [one] });
          expect(only(actual)).toBe(only(script));
        });
      }
      afterAll(() => {
        if (reference === undefined) return;
        const cases = transcript.cases.map((script) => played.get(script) ?? script);
        writeFileSync(path, printTranscript({ ...transcript, cases }));
      });
    });
  }
});
