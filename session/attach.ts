// A thread's share of the engine that the main thread has opened. Apart from start.ts, because this brings the catalogue, the
// grammar and everything that runs statements, which the main thread of a server never needs.
import { attachEngine } from "../native/index.ts";
import { Database } from "./database.ts";
import { useNativeFunctions } from "./native-functions.ts";

/** Once per thread that runs sessions, after startEngine. `board`: the buffer of the process's ActivityBoard. */
export function attachDatabase(board?: SharedArrayBuffer): Promise<Database> {
  useNativeFunctions();
  return Database.attach(attachEngine(), board);
}
