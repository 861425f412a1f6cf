// psql's backslash commands against the server, compared with what psql 15 prints against PostgreSQL 15 (psql.txt).
// UPDATE=1 REFERENCE=postgresql://... records psql.txt anew from that server.
//
// What may differ is replaced on both sides before comparing: DIFFERENCES names each with its reason.
import { spawnSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { root, startServer, type TestServer } from "../support/server.ts";

const folder = join(root, "test/drivers");
const recorded = join(folder, "psql.txt");
const reference = process.env["UPDATE"] === "1" ? process.env["REFERENCE"] : undefined;
const DATABASE = "psql_commands";
const COMMANDS = [
  "\\d",
  "\\dt",
  "\\dt *.*orders*",
  "\\di",
  "\\di sales.*",
  "\\ds",
  "\\dn",
  "\\d customers",
  "\\d+ customers",
  "\\d sales.orders",
  "\\d customers_pkey",
  "\\d sales.orders_customer",
  "\\d numbers",
  "\\dv",
  "\\d nosuch",
  `\\l ${DATABASE}`,
  "\\df nosuch*",
  "\\dT int4",
  "\\conninfo",
];
const DIFFERENCES: readonly { readonly pattern: RegExp; readonly by: string }[] = [
  // Where the servers listen.
  { pattern: /on host ".*$/gm, by: "on host ..." },
  // The owner is whoever made the database; the collation is the server's (ours is C.UTF-8).
  { pattern: /^( psql_commands \|).*$/gm, by: "$1 ..." },
  // The column widths of \l follow the values above.
  { pattern: /^ +Name +\| +Owner +\| +Encoding.*$/gm, by: " Name | Owner | Encoding ..." },
];

interface Output {
  readonly command: string;
  readonly text: string;
}

function psql(url: string, args: readonly string[]): string {
  const environment = {
    ...process.env,
    PGCLIENTENCODING: "UTF8",
    LC_ALL: "C.UTF-8",
    PAGER: "",
    PSQLRC: "/dev/null",
  };
  const result = spawnSync("psql", ["-X", "--no-password", "-d", url, ...args], {
    encoding: "utf8",
    env: environment,
  });
  if (result.error !== undefined) throw result.error;
  return result.stdout + result.stderr;
}

const version = spawnSync("psql", ["--version"], { encoding: "utf8" });
const isThere = version.error === undefined && / 15\./.test(version.stdout);
if (!isThere) console.warn("psql 15 is not installed: its backslash commands are not compared");

function normalise(text: string): string {
  const replaced = DIFFERENCES.reduce((all, { pattern, by }) => all.replaceAll(pattern, by), text);
  return replaced
    .split("\n")
    .map((line) => (/^[-+]+$/.test(line) ? "---" : line.trimEnd()))
    .join("\n")
    .trim();
}

function record(url: string): Output[] {
  psql(url, ["-c", `CREATE DATABASE ${DATABASE}`]);
  const target = new URL(url);
  target.pathname = `/${DATABASE}`;
  try {
    const loaded = psql(target.href, ["-v", "ON_ERROR_STOP=1", "-q", "-f", join(folder, "psql-setup.sql")]);
    expect(loaded, "psql-setup.sql runs").toBe("");
    return COMMANDS.map((command) => ({ command, text: normalise(psql(target.href, ["-c", command])) }));
  } finally {
    psql(url, ["-c", `DROP DATABASE ${DATABASE}`]);
  }
}

const print = (outputs: readonly Output[]): string =>
  outputs.map(({ command, text }) => `=== ${command}\n${text}\n`).join("\n");

function parse(text: string): Map<string, string> {
  const parts = text.split(/^=== /m).slice(1);
  return new Map(
    parts.map((part) => [part.slice(0, part.indexOf("\n")), part.slice(part.indexOf("\n") + 1).trim()]),
  );
}

describe.skipIf(!isThere)("psql", () => {
  let server: TestServer | undefined;
  let outputs: Output[] = [];
  beforeAll(async () => {
    if (reference === undefined) server = await startServer(["--memory"]);
    outputs = record(reference ?? server?.url ?? "");
    if (reference !== undefined) writeFileSync(recorded, print(outputs));
  }, 120_000);
  afterAll(async () => {
    await server?.stop();
  });

  const expected = parse(readFileSync(recorded, "utf8"));
  for (const command of COMMANDS) {
    it(command, () => {
      const actual = outputs.find((output) => output.command === command);
      if (reference === undefined) expect(actual?.text).toBe(expected.get(command));
    });
  }
});
