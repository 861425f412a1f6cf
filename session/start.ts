// The process's engine for those who start it: opened and stopped by the main thread, with the entries a new folder begins
// with. The threads that run sessions attach to it (attach.ts). Imports little: a server's start waits for it.
import { bootstrapEntries, storedEntry } from "../catalog/bootstrap.ts";
import type { Engine, EngineOptions } from "../native/engine.ts";
import { openEngine } from "../native/index.ts";
import { Waits } from "./waits.ts";

export interface StartOptions extends EngineOptions {
  /** Name of the role that owns a new data folder. */
  readonly superuser: string;
}

/** Opens the engine in the main thread; throws 55006 when another process holds the folder. */
export async function startEngine(options: StartOptions): Promise<Engine> {
  const engine = openEngine({
    path: options.path,
    ...(options.poolThreads === undefined ? {} : { poolThreads: options.poolThreads }),
    ...(options.bufferBytes === undefined ? {} : { bufferBytes: options.bufferBytes }),
  });
  if (engine.catalogVersion() === 0) await writeFirstEntries(engine, options.superuser);
  return engine;
}

/** Flushes, checkpoints and stops the engine. Every session must be closed. */
export async function stopEngine(engine: Engine): Promise<void> {
  const waits = new Waits(engine, false);
  await waits.wait(engine.shutdown());
  waits.close();
}

async function writeFirstEntries(engine: Engine, superuser: string): Promise<void> {
  const waits = new Waits(engine, false);
  const session = engine.openSession(waits.channel);
  try {
    const transaction = session.begin("read committed", false);
    for (const entry of bootstrapEntries(superuser)) {
      const { key, value } = storedEntry(entry);
      transaction.catalogPut(key, value, false);
    }
    const token = transaction.commit(false);
    if (token !== 0) {
      await waits.wait(token);
      transaction.commitResult();
    }
  } finally {
    session.close();
    waits.close();
  }
}
