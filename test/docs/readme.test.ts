// The README is a program: its SQL runs in order over the demo's rows, its JavaScript against the built package, and the links
// of README and ARCHITECTURE lead to files that exist. So is docs/embedded.md: its blocks are one program in pieces.
import { spawnSync } from "node:child_process";
import {
  existsSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  mkdirSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { Client } from "pg";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { root, startServer, type TestServer } from "../support/server.ts";

const readme = readFileSync(join(root, "README.md"), "utf8");

function blocks(language: string, text = readme): string[] {
  return Array.from(
    text.matchAll(new RegExp(`\`\`\`${language}\\n([\\s\\S]*?)\`\`\``, "g")),
    (match) => match[1] ?? "",
  );
}

/** What a program prints that imports the built package. */
function runJavaScript(program: string): string {
  const folder = mkdtempSync(join(tmpdir(), "omendb-readme-"));
  try {
    mkdirSync(join(folder, "node_modules"));
    symlinkSync(root, join(folder, "node_modules/omendb"), "dir");
    writeFileSync(join(folder, "example.mjs"), program);
    const run = spawnSync(process.execPath, ["example.mjs"], { cwd: folder, encoding: "utf8" });
    expect(run.stderr).toBe("");
    return run.stdout;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

it("docs/embedded.md runs as printed", () => {
  const embedded = readFileSync(join(root, "docs/embedded.md"), "utf8");
  const printed = runJavaScript(blocks("js", embedded).join("\n"));
  const expected = Array.from(embedded.matchAll(/console\.log\(.*\); \/\/ (.*)/g), (match) => match[1]);
  expect(printed.trim().split("\n")).toEqual(expected);
  expect(expected.length).toBe(2);
});

describe("README", () => {
  let server: TestServer;
  let demo: { readonly status: number | null; readonly stdout: string };
  beforeAll(async () => {
    server = await startServer(["--memory"]);
    const { status, stdout } = spawnSync(
      process.execPath,
      [join(root, "dist/bin/omendb.js"), "demo", server.url],
      { encoding: "utf8" },
    );
    demo = { status, stdout };
  }, 120_000);
  afterAll(async () => {
    await server.stop();
  });

  it("the demo loads its rows and answers five questions with their plans", () => {
    expect(demo.status).toBe(0);
    expect(demo.stdout).toContain("COPY 2000 rows with 384-dimensional embeddings");
    expect(demo.stdout.match(/^\d\. /gm)).toHaveLength(5);
    expect(demo.stdout.match(/Execution Time/g)).toHaveLength(5);
    expect(demo.stdout).toContain("Custom Scan (HybridRRF) on packages");
  });

  it("SQL runs as printed", async () => {
    const client = new Client({ connectionString: server.url });
    await client.connect();
    const rowCounts: number[] = [];
    for (const block of blocks("sql")) {
      const results = await client.query(block);
      for (const result of Array.isArray(results) ? results : [results]) {
        if (result.command === "SELECT" || result.command === "EXPLAIN") rowCounts.push(result.rows.length);
      }
    }
    await client.end();
    // kNN, kNN with a predicate, BM25, then an EXPLAIN of several lines.
    expect(rowCounts.slice(0, 3)).toEqual([10, 10, 5]);
    expect(rowCounts[3]).toBeGreaterThan(3);
  });

  it("JavaScript runs as printed", () => {
    expect(runJavaScript(blocks("js")[0] ?? "")).toContain("id: 1");
  });
});

describe.each(["README.md", "ARCHITECTURE.md"])("%s", (file) => {
  it("links to files that exist", () => {
    const text = readFileSync(join(root, file), "utf8");
    const links = Array.from(text.matchAll(/\]\((?!https?:)([^)#]+)\)/g), (match) => match[1] ?? "");
    expect(links.length).toBeGreaterThan(3);
    expect(links.filter((link) => !existsSync(join(root, dirname(file), link)))).toEqual([]);
  });
});
