// `omendb backup DIR`: asks a running server for a copy of its data folder as of one commit. The server writes it, so DIR is a
// folder of its machine; transactions go on meanwhile. On a terminal a bar shows how far it is; Ctrl-C ends the copy, and
// the server takes what it had written away.
import { resolve } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { Presets, SingleBar } from "cli-progress";
import pg from "pg";
import { fail } from "./failure.ts";

const DEFAULT_URL = "postgresql://postgres@127.0.0.1:5432/postgres";
const POLL_MS = 200;
const MIB = 1 << 20;

/** Backs the server at `url` up into `folder`, new or empty; exits with the reason when that fails. */
export async function backup(folder: string, url: string | undefined): Promise<void> {
  const connectionString = url ?? process.env["OMENDB_URL"] ?? DEFAULT_URL;
  const client = await connect(connectionString);
  const watcher = await connect(connectionString);
  const target = resolve(folder);
  const { pid } = (await client.query<{ pid: number }>("SELECT pg_backend_pid() AS pid")).rows[0] ?? {
    pid: 0,
  };
  const cancel = (): void => void watcher.query("SELECT pg_cancel_backend($1)", [pid]).catch(() => undefined);
  process.once("SIGINT", cancel);
  const end = new AbortController();
  const watching = watch(watcher, pid, end.signal);
  try {
    const answer = await client.query<{ commit: string }>("SELECT database_backup($1) AS commit", [target]);
    end.abort();
    await watching;
    process.stdout.write(`backed up to ${target} as of commit ${answer.rows[0]?.commit ?? ""}\n`);
  } catch (error) {
    end.abort();
    await watching;
    fail(`backup failed: ${error instanceof Error ? error.message : String(error)}`);
  } finally {
    process.removeListener("SIGINT", cancel);
    await Promise.all([client.end(), watcher.end()]);
  }
}

async function connect(connectionString: string): Promise<pg.Client> {
  const client = new pg.Client({ connectionString });
  client.on("error", () => undefined);
  await client.connect().catch((error: Error) => fail(`cannot connect: ${error.message}`));
  return client;
}

/** Shows the progress of the session `pid` until `signal`. */
async function watch(client: pg.Client, pid: number, signal: AbortSignal): Promise<void> {
  if (!process.stderr.isTTY) return;
  const format = "{phase} {bar} {percentage}% of {size} MiB";
  const bar = new SingleBar({ format, hideCursor: true, stream: process.stderr }, Presets.shades_classic);
  bar.start(1, 0, { phase: "waiting", size: "?" });
  try {
    while (!signal.aborted) {
      const { rows } = await client.query<{ phase: string; total: string | null; done: string }>(
        `SELECT phase, backup_total AS total, backup_streamed AS done
         FROM pg_stat_progress_basebackup WHERE pid = $1`,
        [pid],
      );
      const [seen] = rows;
      if (seen !== undefined) {
        const total = Number(seen.total ?? 1);
        bar.setTotal(total);
        bar.update(Math.min(Number(seen.done), total), {
          phase: seen.phase,
          size: seen.total === null ? "?" : String(Math.ceil(total / MIB)),
        });
      }
      await sleep(POLL_MS, undefined, { signal }).catch(() => undefined);
    }
  } catch {
    // The server ended: the backup's own connection says so.
  } finally {
    bar.stop();
  }
}
