/**
 * OmenDB inside a process: the same sessions over the same engine as the server, without a socket.
 *
 * ```ts
 * import { open } from "omendb";
 * const db = await open({ memory: true });
 * await db.query("CREATE TABLE items (id int PRIMARY KEY, embedding vector(3))");
 * await db.query("INSERT INTO items VALUES ($1, $2)", [1, "[1,2,3]"]);
 * const { rows } = await db.query("SELECT id FROM items ORDER BY embedding <-> $1 LIMIT 5", ["[3,1,2]"]);
 * await db.close();
 * ```
 *
 * `appendVectors` and `searchVectors` take and give typed arrays; docs/embedded.md shows them.
 *
 * One process owns a data folder, and one engine is open per process; sessions are as many as you like.
 */
import { open as openEmbedded } from "./session/embedded.ts";

export { SqlError } from "./common/error.ts";
export type {
  EmbeddedDatabase,
  EmbeddedVectorSearch,
  OpenOptions,
  QueryResult,
  SqlValue,
} from "./session/embedded.ts";
export type { ColumnValues, VectorBlock } from "./session/vectors/append.ts";
export type { VectorHits, VectorMetric } from "./session/vectors/search.ts";

/** Opens a database in this process. Throws SqlError 55006 when another process is using the folder. */
export const open: typeof openEmbedded = openEmbedded;
