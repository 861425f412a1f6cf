// Definitions and upkeep beside the clients' writes: indexes of every kind, columns, VACUUM, checkpoints, cancelled sessions.
import type { Connection } from "./connection.ts";
import type { Random } from "./random.ts";
import { DIMENSIONS, TABLES } from "./rows.ts";

const INDEXES = [
  "btree (cat)",
  "btree (owner, id)",
  "btree (note, cat DESC)",
  "btree ((lower(body))) WHERE cat > 2",
  "btree (cat) WHERE note = 'gold'",
  "bm25 (body)",
  "hnsw (v vector_l2_ops)",
  "hnsw (v vector_l2_ops) WITH (quantization = 'rabitq')",
  "hnsw (v vector_l2_ops) WHERE cat = 3",
  "hnsw (v vector_cosine_ops) WITH (quantization = 'sq8')",
  "hnsw (v vector_ip_ops) WITH (m = 8)",
  "hnsw (v vector_l1_ops)",
  "hnsw (h halfvec_l2_ops)",
  "hnsw (s sparsevec_l2_ops)",
  "hnsw (b bit_hamming_ops)",
  `hnsw ((v::halfvec(${DIMENSIONS})) halfvec_l2_ops)`,
  `hnsw ((binary_quantize(v)::bit(${DIMENSIONS})) bit_hamming_ops)`,
];
/** What the tables begin with. */
export const FIRST_INDEXES = TABLES.flatMap((table) =>
  ["hnsw (v vector_l2_ops)", "hnsw (s sparsevec_l2_ops)", "bm25 (body)"].map(
    (index) => `CREATE INDEX ON ${table} USING ${index}`,
  ),
);
const QUANTIZATIONS = ["none", "f16", "sq8", "rabitq"];
/** So many indexes a table keeps. */
const KEPT = 4;

async function indexesOf(connection: Connection, table: string, like = "%"): Promise<string[]> {
  const sql = `SELECT indexname FROM pg_indexes WHERE tablename = $1 AND indexname NOT LIKE '%pkey' AND indexdef LIKE $2`;
  return (await connection.query(sql, [table, like])).rows.map(([name]) => String(name));
}

export async function defineIndex(connection: Connection, random: Random): Promise<void> {
  const table = random.pick(TABLES);
  const concurrently = random.chance(0.5) ? "CONCURRENTLY" : "";
  const names = await indexesOf(connection, table);
  const name = names.length === 0 ? undefined : random.pick(names);
  if (name === undefined || names.length < KEPT || random.chance(0.4)) {
    await connection.query(`CREATE INDEX ${concurrently} ON ${table} USING ${random.pick(INDEXES)}`);
  } else if (random.chance(0.5)) await connection.query(`DROP INDEX ${concurrently} "${name}"`);
  else if (random.chance(0.6)) await connection.query(`REINDEX INDEX ${concurrently} "${name}"`);
  else {
    const [vectors] = await indexesOf(connection, table, "%USING hnsw (v %");
    if (vectors === undefined) return;
    await connection.query(`ALTER INDEX "${vectors}" SET (quantization = '${random.pick(QUANTIZATIONS)}')`);
  }
}

/** Two definitions in one transaction, which half of the time undoes them. */
export async function defineTogether(connection: Connection, random: Random): Promise<void> {
  const table = random.pick(TABLES);
  await connection.query("BEGIN");
  await connection.query(`CREATE INDEX ON ${table} USING ${random.pick(INDEXES)}`);
  await connection.query("SAVEPOINT s");
  await connection.query(`ALTER TABLE ${table} ADD COLUMN IF NOT EXISTS x${random.integer(4)} int DEFAULT 7`);
  if (random.chance(0.5)) await connection.query("ROLLBACK TO SAVEPOINT s");
  await connection.query(random.chance(0.5) ? "COMMIT" : "ROLLBACK");
}

export async function maintain(connection: Connection, random: Random): Promise<void> {
  const table = random.pick(TABLES);
  const column = `x${random.integer(4)}`;
  const statements = [
    `VACUUM ${table}`,
    `VACUUM ${table}`,
    `VACUUM FULL ${table}`,
    `ANALYZE ${table}`,
    `ALTER TABLE ${table} ADD COLUMN ${column} int DEFAULT 3`,
    `ALTER TABLE ${table} DROP COLUMN IF EXISTS ${column}`,
    "CHECKPOINT",
  ];
  await connection.query(random.pick(statements));
}

/** Cancels what another session runs, or ends it. */
export async function disturb(connection: Connection, random: Random): Promise<void> {
  const sql = "SELECT pid FROM pg_stat_activity WHERE pid <> pg_backend_pid()";
  const { rows } = await connection.query(sql);
  if (rows.length === 0) return;
  const verb = random.chance(0.7) ? "pg_cancel_backend" : "pg_terminate_backend";
  await connection.query(`SELECT ${verb}($1)`, [random.pick(rows)[0]]);
}
