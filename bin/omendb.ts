#!/usr/bin/env node
// The command line: `omendb serve | sql | demo | import | backup | restore | bench | check`. This file only declares the
// commands; each one's work is in its own file, loaded when it is asked for.
import { Command, InvalidArgumentError } from "commander";
import { fail } from "./failure.ts";

const program = new Command("omendb")
  .description("A SQL database with vector, text and hybrid search that speaks PostgreSQL.")
  .showHelpAfterError("(omendb --help lists the commands)")
  .version("0.1.0");

program
  .command("serve")
  .description("start the server; prints `ready postgresql://...` on stdout when it accepts connections")
  .option("--data <dir>", "data folder, made when missing", "./omendb-data")
  .option("--memory", "keep everything in memory: nothing survives the process")
  .option("--host <address>", "address to listen on; other than loopback only with a password", "127.0.0.1")
  .option("--port <number>", "TCP port, 0 = any free one", portNumber, 5432)
  .option("--workers <number>", "threads that run sessions (default: cores, at most 4)", positiveInteger)
  .option("--superuser <name>", "role that owns a new data folder", "postgres")
  .option("--password <password>", "its password (or OMENDB_PASSWORD); without one only loopback is served")
  .option("--max-connections <number>", "sessions at once", positiveInteger)
  .option("--shared-buffers <size>", "memory for rows not yet in files, e.g. 256MB (default: 128MB)")
  .option("--tls-cert <file>", "PEM certificate chain: offers TLS")
  .option("--tls-key <file>", "PEM key of the certificate")
  .action(async (options: Record<string, unknown>) => {
    const { serve, serveOptions } = await import("./serve.ts");
    await serve(serveOptions(options, process.env));
  });

program
  .command("sql [url]")
  .description("run SQL: a prompt on a terminal, else the statements on stdin")
  .option("-c, --command <sql>", "run this and exit")
  .action(async (url: string | undefined, options: { command?: string }) => {
    const { sql } = await import("./sql.ts");
    await sql(url, options.command);
  });

program
  .command("demo [url]")
  .description("load about 2,000 real rows and show kNN, filtered, text and hybrid queries")
  .action(async (url: string | undefined) => {
    const { demo } = await import("./demo-command.ts");
    await demo(url);
  });

program
  .command("backup <dir>")
  .description("write a consistent copy of a running database into a new folder of the server's machine")
  .option("--url <url>", "the server, as a superuser (or OMENDB_URL)")
  .action(async (folder: string, options: { url?: string }) => {
    const { backup } = await import("./backup.ts");
    await backup(folder, options.url);
  });

program
  .command("restore <backup>")
  .description("make a data folder from a backup, and check it")
  .option("--data <dir>", "the new data folder", "./omendb-data")
  .action(async (backup: string, options: { data: string }) => {
    const { restore } = await import("./restore.ts");
    restore(backup, options.data);
  });

program
  .command("check <dir>")
  .description(
    "verify every checksum of a stopped data folder, and its indexes against rows; exit status 1 on damage",
  )
  .action(async (folder: string) => {
    const { check } = await import("./check.ts");
    if (!check(folder)) process.exitCode = 1;
  });

for (const [name, description] of [
  ["import", "import data from another system"],
  ["bench", "measure this machine"],
] as const) {
  program
    .command(name, { hidden: true })
    .description(`${description} (not available yet)`)
    .allowUnknownOption()
    .allowExcessArguments()
    .action(() => fail(`omendb ${name} is not available yet`));
}

function positiveInteger(text: string): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1)
    throw new InvalidArgumentError("It must be a positive whole number.");
  return value;
}

function portNumber(text: string): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 0 || value > 65_535) {
    throw new InvalidArgumentError("It must be a port number, 0 to 65535.");
  }
  return value;
}

await program
  .parseAsync()
  .catch((error: unknown) => fail(error instanceof Error ? error.message : String(error)));
