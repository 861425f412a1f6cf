// `omendb sql [URL]`: runs SQL over the wire. On a terminal a prompt with history; otherwise the statements of stdin, in
// order, stopping at the first error with exit status 1. For everything beyond that there is psql.
import { createInterface } from "node:readline";
import pg from "pg";
import { fail } from "./failure.ts";

const DEFAULT_URL = "postgresql://postgres@127.0.0.1:5432/postgres";

/** `command`: run this instead of asking. */
export async function sql(url: string | undefined, command: string | undefined): Promise<void> {
  const client = new pg.Client({ connectionString: url ?? process.env["OMENDB_URL"] ?? DEFAULT_URL });
  client.on("notice", (notice) =>
    process.stderr.write(`${notice.severity ?? "NOTICE"}:  ${notice.message}\n`),
  );
  // A server that goes away between statements is reported by the next one.
  client.on("error", () => undefined);
  await client.connect().catch((error: Error) => fail(`cannot connect: ${error.message}`));
  try {
    if (command !== undefined) await runOrFail(client, command);
    else if (process.stdin.isTTY) await prompt(client);
    else await runOrFail(client, await readAll(process.stdin));
  } finally {
    await client.end();
  }
}

async function runOrFail(client: pg.Client, text: string): Promise<void> {
  try {
    for (const result of await run(client, text)) process.stdout.write(result);
  } catch (error) {
    await client.end();
    fail(errorText(error));
  }
}

async function prompt(client: pg.Client): Promise<void> {
  const lines = createInterface({ input: process.stdin, output: process.stdout, prompt: "omendb=> " });
  let statement = "";
  lines.prompt();
  for await (const line of lines) {
    if (statement === "" && /^\s*(\\q|quit|exit)\s*;?\s*$/i.test(line)) break;
    statement += `${line}\n`;
    if (!/;\s*$/.test(statement) && statement.trim() !== "") {
      lines.setPrompt("omendb-> ");
      lines.prompt();
      continue;
    }
    try {
      if (statement.trim() !== "")
        for (const result of await run(client, statement)) process.stdout.write(result);
    } catch (error) {
      process.stderr.write(`${errorText(error)}\n`);
    }
    statement = "";
    lines.setPrompt("omendb=> ");
    lines.prompt();
  }
  lines.close();
}

/** The printed results of all statements of a text. */
async function run(client: pg.Client, text: string): Promise<string[]> {
  const types = { getTypeParser: () => (value: string) => value };
  const answer: unknown = await client.query({ text, rowMode: "array", types });
  const results = (Array.isArray(answer) ? answer : [answer]) as pg.QueryArrayResult<(string | null)[]>[];
  return results.map((result) => (result.fields.length === 0 ? tagOf(result) : table(result)));
}

function tagOf({ command, rowCount }: pg.QueryArrayResult): string {
  return command === null ? "" : `${command}${rowCount === null ? "" : ` ${rowCount}`}\n`;
}

/** Columns side by side with a header, as psql prints them. */
function table({ fields, rows }: pg.QueryArrayResult<(string | null)[]>): string {
  const header = fields.map((field) => field.name);
  const body = rows.map((row) => row.map((value) => value ?? ""));
  const widths = header.map((name, column) =>
    Math.max(name.length, ...body.map((row) => longestLine(row[column] ?? ""))),
  );
  const line = (cells: readonly string[]): string =>
    cells
      .map((cell, column) => ` ${cell.padEnd(widths[column] ?? 0)} `)
      .join("|")
      .trimEnd();
  const rule = widths.map((width) => "-".repeat(width + 2)).join("+");
  const count = `(${rows.length} ${rows.length === 1 ? "row" : "rows"})`;
  return `${[line(header), rule, ...body.map(line), count].join("\n")}\n\n`;
}

function longestLine(text: string): number {
  return text.split("\n").reduce((longest, part) => Math.max(longest, part.length), 0);
}

function errorText(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const { severity = "ERROR", code, detail, hint } = error as Error & Record<string, string | undefined>;
  const lines = [`${severity}:  ${error.message}${code === undefined ? "" : ` (${code})`}`];
  if (detail !== undefined) lines.push(`DETAIL:  ${detail}`);
  if (hint !== undefined) lines.push(`HINT:  ${hint}`);
  return lines.join("\n");
}

async function readAll(stream: NodeJS.ReadStream): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of stream) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString("utf8");
}
