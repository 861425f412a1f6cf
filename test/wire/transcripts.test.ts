// Replays every transcript against this server; record.ts records them from a PostgreSQL 15.
import { readFileSync, readdirSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type TestServer, startTestServer } from "./server.ts";
import { runTranscript } from "./transcript.ts";

const folder = fileURLToPath(new URL("./", import.meta.url));
const files = readdirSync(folder).filter((name) => name.endsWith(".transcript"));

describe("transcripts of PostgreSQL 15", () => {
  let server: TestServer;
  beforeAll(async () => {
    server = await startTestServer();
  });
  afterAll(() => server.stop());

  test.each(files)("%s", async (name) => {
    const recorded = readFileSync(folder + name, "utf8");
    expect(await runTranscript(recorded, server.address)).toBe(recorded);
  });
});
