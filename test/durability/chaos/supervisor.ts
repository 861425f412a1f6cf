// What happens to the server meanwhile: kill -9, checked and started again; backups, restored and judged beside it.
import { execFile } from "node:child_process";
import { cpSync, rmSync } from "node:fs";
import { join } from "node:path";
import { root, startServer, type TestServer } from "../../support/server.ts";
import { Random } from "./random.ts";
import { faultsOf } from "./whole.ts";
import type { World } from "./world.ts";

/** A client has cancelled the session that makes a backup, or has ended it. */
const DISTURBED = /canceling statement|terminat/;

/** Runs the command line of the built product; its exit status and all it printed. */
export async function omendb(
  ...args: string[]
): Promise<{ readonly status: number; readonly output: string }> {
  return new Promise((resolve) => {
    const entry = join(root, "dist/bin/omendb.js");
    execFile(process.execPath, [entry, ...args], { maxBuffer: 1 << 26 }, (error, stdout, stderr) => {
      resolve({ status: error === null ? 0 : Number(error.code ?? -1), output: stdout + stderr });
    });
  });
}

export class Supervisor {
  readonly #world: World;
  readonly #folder: string;
  readonly #random: Random;
  #server: TestServer;

  /** `server` runs over `folder`/data. */
  constructor(world: World, folder: string, server: TestServer) {
    this.#world = world;
    this.#folder = folder;
    this.#server = server;
    this.#random = new Random(world.seed);
  }

  get #data(): string {
    return join(this.#folder, "data");
  }

  /** Kills and copies until the deadline. The server runs when it resolves. */
  async run(): Promise<void> {
    const { deadline, report } = this.#world;
    for (let turn = 0; ; turn++) {
      const pause = this.#random.between(6_000, 14_000);
      if (Date.now() + pause > deadline) return;
      await new Promise((resolve) => setTimeout(resolve, pause));
      if (this.#server.process.exitCode !== null || this.#server.process.signalCode !== null) {
        report.fault(
          "server",
          `ended with ${this.#server.process.exitCode}: ${this.#server.log().slice(-1200)}`,
        );
        await this.#start();
      } else if (turn % 2 === 0) await this.#kill();
      else await this.#backup();
    }
  }

  /** Judges the whole, stops the server as a user would and checks what it leaves. */
  async end(): Promise<void> {
    await this.#judge(this.#world.url, this.#acknowledged(), "at the end");
    const status = await this.#server.stop();
    if (status !== 0)
      this.#world.report.fault("server", `stopped with ${status}: ${this.#server.log().slice(-1200)}`);
    await this.#check(this.#data, "stopped");
  }

  async kill(): Promise<void> {
    await this.#server.kill();
  }

  #acknowledged(): number[] {
    return this.#world.progress.map(({ acknowledged }) => acknowledged);
  }

  async #start(): Promise<void> {
    this.#server = await startServer(["--data", this.#data]);
    this.#world.url = this.#server.url;
  }

  async #kill(): Promise<void> {
    await this.#server.kill();
    this.#world.report.count("kills");
    await this.#check(this.#data, `killed-${this.#world.report.of("kills")}`);
    const acknowledged = this.#acknowledged();
    await this.#start();
    await this.#judge(this.#world.url, acknowledged, "after a kill");
  }

  async #backup(): Promise<void> {
    const { report } = this.#world;
    const [copy, restored] = [join(this.#folder, "copy"), join(this.#folder, "restored")];
    const acknowledged = this.#acknowledged();
    const backup = await omendb("backup", copy, "--url", this.#world.url);
    if (backup.status !== 0) {
      report.count("backups that failed");
      if (!DISTURBED.test(backup.output)) report.fault("backup", backup.output.slice(-1200));
    } else {
      report.count("backups");
      const { status, output } = await omendb("restore", copy, "--data", restored);
      if (status !== 0) report.fault("restore", output.slice(-1200));
      else {
        const server = await startServer(["--data", restored]);
        await this.#judge(server.url, acknowledged, "in a backup");
        await server.kill();
      }
    }
    for (const path of [copy, restored]) rmSync(path, { recursive: true, force: true });
  }

  async #judge(url: string, atLeast: readonly number[], when: string): Promise<void> {
    const { report, progress } = this.#world;
    const atMost = (): number[] => progress.map(({ begun }) => begun);
    try {
      for (const fault of await faultsOf(url, { atLeast, atMost })) report.fault(`whole, ${when}`, fault);
      report.count("judged");
    } catch (error) {
      // Ended by a client, or a fault that the next start shows.
      report.count(`not judged: ${String(error).slice(0, 80)}`);
    }
  }

  async #check(folder: string, name: string): Promise<void> {
    const { status, output } = await omendb("check", folder);
    if (status === 0) return;
    cpSync(folder, join(this.#folder, `bad-${name}`), { recursive: true });
    this.#world.report.fault(`check, ${name}`, output.slice(-1200));
  }
}
