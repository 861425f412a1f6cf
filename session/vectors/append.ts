// Rows from a block of vectors in the process's own memory: no SQL text, no parameter, no copy of the floats on the way to
// the engine, which borrows the block batch by batch for the time of a call. Otherwise an INSERT like any other: defaults,
// generated columns, checks, keys and foreign keys, in the transaction block that is open or in one of its own. Vector
// indexes link the rows in the background; searches look at what is not linked yet exactly.
import type { ColumnEntry } from "../../catalog/entries.ts";
import { must } from "../../common/assert.ts";
import {
  BoxedVector,
  EmbeddingVector,
  Int32Vector,
  Int64Vector,
  type Vector,
  vectorOf,
} from "../../common/batch/vector.ts";
import { notSupported, SqlError, SqlState, toSqlError } from "../../common/error.ts";
import { quoteIdentifier } from "../../common/identifier.ts";
import { checkElement } from "../../common/types/embedding.ts";
import { Oid } from "../../common/types/oid.ts";
import type { Datum, SqlType } from "../../common/types/type.ts";
import { fireEvents } from "../../executor/constraint/fire.ts";
import { createContext } from "../../executor/execution.ts";
import { RowInserter } from "../../executor/modify/row-inserter.ts";
import { firstNotFinite } from "../../native/index.ts";
import { parse } from "../../parser/parse.ts";
import type { InsertPlan } from "../../planner/physical/plan.ts";
import type { SessionCore } from "../core.ts";
import { lockedPlan } from "../planning.ts";
import { PreparedStatement } from "../prepared-statement.ts";
import { valueCodec } from "../value-codec.ts";
import { columnOf, requireIdColumn, spelled, tableOf, vectorColumn, type VectorTarget } from "./target.ts";

/**
 * Values of a column, one per vector. Int32Array for int4 and BigInt64Array for int8 are taken as they are; anything else
 * is read as the text it prints as.
 */
export type ColumnValues =
  | readonly (string | number | bigint | boolean | null)[]
  | Int32Array
  | BigInt64Array;

export interface VectorBlock extends VectorTarget {
  /** Rows times dimensions floats, row after row. Not to be changed before the call's promise settles. */
  readonly vectors: Float32Array;
  /** Without: the column's default. */
  readonly ids?: ColumnValues | undefined;
  /** Further columns by name. */
  readonly columns?: Readonly<Record<string, ColumnValues>> | undefined;
}

/** Inserts a row per vector and gives their number. Throws what INSERT throws, 22000 for a block of the wrong size. */
export async function appendVectors(core: SessionCore, name: string, block: VectorBlock): Promise<number> {
  const table = tableOf(core, name, block);
  const column = vectorColumn(table, block.column);
  const dimensions = column.type.typmod;
  const { vectors } = block;
  const rowCount = vectors.length / dimensions;
  if (!Number.isInteger(rowCount)) {
    throw new SqlError(
      SqlState.dataException,
      `${vectors.length} floats are no whole number of vectors of ${dimensions} dimensions`,
    );
  }
  const bad = firstNotFinite(vectors);
  if (bad >= 0) checkElement("vector", must(vectors[bad], "an element of the block"));
  const others: (readonly [ColumnEntry, ColumnValues])[] = Object.entries(block.columns ?? {}).map(
    ([other, values]) => [columnOf(table, other), values],
  );
  if (block.ids !== undefined) others.unshift([requireIdColumn(table, block.idColumn), block.ids]);
  for (const [{ name: other }, values] of others) {
    if (values.length !== rowCount) {
      throw new SqlError(
        SqlState.dataException,
        `${values.length} values of column "${other}" for ${rowCount} vectors`,
      );
    }
  }
  const names = [column, ...others.map(([entry]) => entry)].map((entry) => entry.name);
  const target = await insertTarget(core, spelled(name, block), names);
  await core.holdPortals(undefined);
  core.transactions.beginStatement();
  const context = createContext(core.executionOptions([]));
  const inserter = new RowInserter(target, context);
  try {
    for (let from = 0; from < rowCount; from += context.batchRows) {
      const count = Math.min(context.batchRows, rowCount - from);
      const pause = context.turn();
      if (pause !== undefined) await pause;
      const floats = vectors.subarray(from * dimensions, (from + count) * dimensions);
      const given: Vector[] = [new EmbeddingVector(dimensions, floats, undefined, count)];
      for (const [{ type }, values] of others) given.push(columnVector(core, type, values, from, count));
      await inserter.insert(await inserter.complete(given, count));
    }
    if (context.hasEvents) await fireEvents(context);
    return rowCount;
  } finally {
    inserter.close();
    context.close();
  }
}

/** The INSERT of these columns, planned and its table locked; its values are never computed. */
async function insertTarget(
  core: SessionCore,
  table: string,
  columns: readonly string[],
): Promise<InsertPlan> {
  const nulls = columns.map(() => "NULL").join(", ");
  const sql = `INSERT INTO ${table} (${columns.map(quoteIdentifier).join(", ")}) VALUES (${nulls})`;
  const statement = must(parse(sql)[0], "one statement");
  core.refuseReadOnly("INSERT");
  const { plan } = await lockedPlan(core, new PreparedStatement("", statement, [], true), statement);
  if (plan.kind !== "insert") throw notSupported(`appending vectors to ${table}`);
  return plan;
}

/** Values [from, from + count) as a column of the type. */
function columnVector(
  core: SessionCore,
  type: SqlType,
  values: ColumnValues,
  from: number,
  count: number,
): Vector {
  if (values instanceof Int32Array && type.oid === Oid.int4) {
    return new Int32Vector(values.subarray(from, from + count), undefined, count);
  }
  if (values instanceof BigInt64Array && type.oid === Oid.int8) {
    return new Int64Vector(undefined, values.subarray(from, from + count), undefined, count);
  }
  const codec = valueCodec(type.oid);
  const data = Array.from({ length: count }, (_, i): Datum => {
    const value = values[from + i] ?? null;
    try {
      return value === null ? null : codec.parse(String(value), type.typmod, core.types);
    } catch (error) {
      throw toSqlError(error).with({ where: `vector ${from + i}` });
    }
  });
  return codec.vectorKind === "text" ? new BoxedVector(data) : vectorOf(codec.vectorKind, data);
}
