// A set as a table of both systems: a binary COPY file made once and read by psql.
import { createWriteStream } from "node:fs";
import { once } from "node:events";
import { type VectorSet, rowOf } from "./sets.ts";
import { type System, sql } from "./systems.ts";

const HEAD_BYTES = 19;

/** Integer columns between the id and the vector. */
export type Extras = readonly Int32Array[];

/** Writes rows (id int4, extras int4, vector) in COPY's binary format; ids are row numbers. */
export async function writeCopyFile(file: string, set: VectorSet, extras: Extras): Promise<void> {
  const out = createWriteStream(file, { highWaterMark: 1 << 20 });
  const head = Buffer.alloc(HEAD_BYTES);
  head.write("PGCOPY\n\xff\r\n\0", "latin1");
  out.write(head);
  const vectorBytes = 4 + set.dimensions * 4;
  const rowBytes = 2 + 8 * (1 + extras.length) + 4 + vectorBytes;
  for (let row = 0; row < set.count; row++) {
    const bytes = Buffer.alloc(rowBytes);
    let at = bytes.writeInt16BE(extras.length + 2, 0);
    for (const value of [row, ...extras.map((column) => column[row] as number)]) {
      at = bytes.writeInt32BE(4, at);
      at = bytes.writeInt32BE(value, at);
    }
    at = bytes.writeInt32BE(vectorBytes, at);
    at = bytes.writeInt16BE(set.dimensions, at);
    at = bytes.writeInt16BE(0, at);
    const vector = rowOf(set.base, set.dimensions, row);
    for (let d = 0; d < set.dimensions; d++) at = bytes.writeFloatBE(vector[d] as number, at);
    if (!out.write(bytes)) await once(out, "drain");
  }
  out.end(Buffer.from([0xff, 0xff]));
  await once(out, "finish");
}

/** A fresh table `(id int4, <extras> int4, v vector)` filled from the file. */
export async function loadTable(
  system: System,
  set: VectorSet,
  file: string,
  extras: readonly string[] = [],
  table = "items",
): Promise<void> {
  const columns = ["id int", ...extras.map((name) => `${name} int`), `v vector(${set.dimensions})`];
  await sql(system, "CREATE EXTENSION IF NOT EXISTS vector");
  await sql(system, `DROP TABLE IF EXISTS ${table}; CREATE TABLE ${table} (${columns.join(", ")})`);
  await sql(system, `\\copy ${table} FROM '${file}' WITH (FORMAT binary)`);
}

/** The graph both systems build: the same M and ef_construction, with memory enough for all of it. */
export async function buildGraph(
  system: System,
  set: VectorSet,
  table = "items",
  options: readonly string[] = [],
): Promise<void> {
  const all = ["m = 16", "ef_construction = 200", ...options].join(", ");
  await sql(
    system,
    `SET maintenance_work_mem = '1GB'; CREATE INDEX ${table}_v ON ${table} USING hnsw (v vector_${set.metric}_ops) WITH (${all})`,
  );
}
