// pg_relation_size and its relatives, from the engine's counts. Memory-resident structures have a size too: what is shown
// is what they take, which for a table is its rows and for an index the index.
import { SqlError, SqlState } from "../../common/error.ts";
import type { Datum } from "../../common/types/type.ts";
import type { TableEntry } from "../entries.ts";
import type { FunctionCall } from "../functions/function.ts";
import { type BodyEntry, scalar, snapshotOf, statisticsOf } from "./body.ts";
import { plainText } from "../pg-catalog/rows.ts";

const FORKS: readonly string[] = ["main", "fsm", "vm", "init"];

export const sizeBodies: readonly BodyEntry[] = [
  scalar("sql:pg_relation_size:2205", ([oid], call) => relationSize(call, Number(oid))),
  scalar("pg_relation_size", ([oid, fork], call) => {
    if (!FORKS.includes(plainText(fork))) {
      throw new SqlError(SqlState.invalidParameterValue, "invalid fork name", {
        hint: 'Valid fork names are "main", "fsm", "vm", and "init".',
      });
    }
    const size = relationSize(call, Number(oid));
    return fork === "main" || size === null ? size : 0;
  }),
  scalar("pg_table_size", ([oid], call) => relationSize(call, Number(oid))),
  scalar("pg_indexes_size", ([oid], call) => {
    const ref = snapshotOf(call).relationByOid(Number(oid));
    return ref === undefined ? null : indexesSize(call, Number(oid));
  }),
  scalar("pg_total_relation_size", ([oid], call) => {
    const size = relationSize(call, Number(oid));
    return size === null ? null : size + indexesSize(call, Number(oid));
  }),
  scalar("pg_database_size_oid", ([oid], call) => {
    const database = snapshotOf(call).entry("database", Number(oid));
    return database === undefined ? null : databaseSize(call, Number(oid));
  }),
  scalar("pg_database_size_name", ([name], call) => {
    for (const database of snapshotOf(call).databases())
      if (database.name === name) return databaseSize(call, database.oid);
    throw new SqlError(SqlState.invalidCatalogName, `database "${plainText(name)}" does not exist`);
  }),
  scalar("pg_tablespace_size_oid", (_, call) => databaseSize(call, snapshotOf(call).database.oid)),
  scalar("pg_tablespace_size_name", (_, call) => databaseSize(call, snapshotOf(call).database.oid)),
];

function relationSize(call: FunctionCall, oid: number): number | null {
  const ref = snapshotOf(call).relationByOid(oid);
  switch (ref?.kind) {
    case undefined:
      return null;
    case "table":
      return statisticsOf(call).relationRows(ref.table.storageId).sizeBytes;
    case "index":
      return statisticsOf(call).indexRows(ref.index.storageId).sizeBytes;
    // Sequences are a few bytes in the log; computed relations take no room at all.
    default:
      return 0;
  }
}

function indexesSize(call: FunctionCall, tableOid: number): number {
  const indexes = snapshotOf(call).indexesOf(tableOid);
  return indexes.reduce((sum, index) => sum + statisticsOf(call).indexRows(index.storageId).sizeBytes, 0);
}

/** Of the database one is connected to; other databases' tables are not in this snapshot, and their size reads 0. */
function databaseSize(call: FunctionCall, oid: number): Datum {
  if (oid !== snapshotOf(call).database.oid) return 0;
  let total = 0;
  const isTable = (entry: { readonly kind: string }): entry is TableEntry => entry.kind === "table";
  for (const entry of snapshotOf(call).entries()) {
    if (isTable(entry)) total += (relationSize(call, entry.oid) ?? 0) + indexesSize(call, entry.oid);
  }
  return total;
}
