// The process's engine for those who start it: open (main thread), attach (workers), and the entries a new folder begins
// with. Everything about the addon that wire/ and bin/ need comes through here.
import { bootstrapEntries, storedEntry } from "../catalog/bootstrap.ts";
import type { Engine, EngineOptions } from "../native/engine.ts";
import { attachEngine, openEngine } from "../native/index.ts";
import { Database } from "./database.ts";
import { useNativeFunctions } from "./native-functions.ts";
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
  });
  if (engine.catalogVersion() === 0) await writeFirstEntries(engine, options.superuser);
  return engine;
}

/** This thread's share of the engine that the main thread has opened. */
export function attachDatabase(): Promise<Database> {
  useNativeFunctions();
  return Database.attach(attachEngine());
}

/** Flushes, checkpoints and stops the engine. Every session must be closed. */
export async function stopEngine(engine: Engine): Promise<void> {
  const waits = new Waits(engine);
  await waits.wait(engine.shutdown());
  waits.close();
}

async function writeFirstEntries(engine: Engine, superuser: string): Promise<void> {
  const waits = new Waits(engine);
  const session = engine.openSession(waits.channel);
  try {
    const transaction = session.begin("read committed", false);
    for (const entry of bootstrapEntries(superuser)) {
      const { key, value } = storedEntry(entry);
      transaction.catalogPut(key, value, false);
    }
    const token = transaction.commit();
    if (token !== 0) {
      await waits.wait(token);
      transaction.commitResult();
    }
  } finally {
    session.close();
    waits.close();
  }
}
