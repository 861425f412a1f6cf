// The nearest rows to a vector in the process's own memory, as typed arrays: the SELECT one would write, prepared once per
// shape, with the query bound as the floats it is and the answer read from the batches it comes in. Same plans, same
// settings (hnsw.ef_search, omendb.exact), same snapshot as SQL.
import type { ColumnEntry, TableEntry } from "../../catalog/entries.ts";
import { must } from "../../common/assert.ts";
import type { Batch, Vector } from "../../common/batch/vector.ts";
import { SqlError, SqlState } from "../../common/error.ts";
import { quoteIdentifier } from "../../common/identifier.ts";
import { Oid } from "../../common/types/oid.ts";
import type { Datum } from "../../common/types/type.ts";
import { firstNotFinite } from "../../native/index.ts";
import { checkElement } from "../../common/types/embedding.ts";
import { parse } from "../../parser/parse.ts";
import type { SessionCore } from "../core.ts";
import { openPlan } from "../plan-runner.ts";
import { lockedPlan } from "../planning.ts";
import type { PreparedStatement } from "../prepared-statement.ts";
import { prepare } from "../statement-runner.ts";
import { valueCodec } from "../value-codec.ts";
import {
  requireIdColumn,
  spelled,
  tableOf,
  vectorColumn,
  vectorIndexes,
  type VectorTarget,
} from "./target.ts";

export type VectorMetric = "l2" | "ip" | "cosine" | "l1";

const OPERATORS: Readonly<Record<VectorMetric, string>> = { l2: "<->", ip: "<#>", cosine: "<=>", l1: "<+>" };

/** Statements kept prepared per session: one for each table, filter and k in use. */
const MAX_PREPARED = 64;

export interface VectorSearch extends VectorTarget {
  readonly query: Float32Array;
  /** How many rows at most. */
  readonly k: number;
  /** Of the column's vector index where none is given, l2 without an index. */
  readonly metric?: VectorMetric | undefined;
  /** A condition in SQL over the table's columns, with parameters $1... */
  readonly filter?: string | undefined;
  /** Texts of the filter's parameters. */
  readonly parameters?: readonly (string | null)[] | undefined;
}

/** Nearest first; as many ids as distances, fewer than k only where no more rows match. */
export interface VectorHits {
  /** Int32Array of int4 (and smaller), BigInt64Array of int8, else texts. */
  readonly ids: Int32Array | BigInt64Array | readonly string[];
  /** What SQL's operator gives: ip negated, l2 with its root. NaN where it is NULL. */
  readonly distances: Float64Array;
}

interface Prepared {
  readonly statement: PreparedStatement;
  readonly idType: number;
}

/** Prepared statements by session: they end with it. */
const prepared = new WeakMap<SessionCore, Map<string, Prepared>>();

/** Throws what the SELECT would: 42703, 22000 for other dimensions, ... */
export async function searchVectors(
  core: SessionCore,
  name: string,
  search: VectorSearch,
): Promise<VectorHits> {
  const { query, k } = search;
  if (!Number.isInteger(k) || k < 0) {
    throw new SqlError(
      SqlState.invalidRowCountInLimitClause,
      "k must be a whole number that is not negative",
    );
  }
  const bad = firstNotFinite(query);
  if (bad >= 0) checkElement("vector", must(query[bad], "an element of the query"));
  const { statement, idType } = prepareSearch(core, name, search);
  const given = search.parameters ?? [];
  const wanted = statement.parameterTypes.length - 1;
  if (given.length !== wanted) {
    throw new SqlError(
      SqlState.protocolViolation,
      `the filter has ${wanted} parameters, and ${given.length} were given`,
    );
  }
  const parameters: Datum[] = given.map((text, i) =>
    text === null
      ? null
      : valueCodec(must(statement.parameterTypes[i], "a type")).parse(text, -1, core.types),
  );
  const planned = await lockedPlan(core, statement, must(statement.statement, "a statement"));
  const stream = await openPlan(core, planned, [...parameters, query], undefined);
  const batches: HitBatch[] = [];
  try {
    for (let batch = await stream.next(); batch !== undefined; batch = await stream.next()) {
      batches.push(hitsOf(core, batch, idType));
    }
  } finally {
    stream.close();
  }
  return joined(batches, idType);
}

/** The statement of this shape; prepared again when the catalogue has moved, because the metric may have. */
function prepareSearch(core: SessionCore, name: string, search: VectorSearch): Prepared {
  const table = tableOf(core, name, search);
  const column = vectorColumn(table, search.column);
  const id = requireIdColumn(table, search.idColumn);
  const operator = OPERATORS[search.metric ?? indexMetric(core, table, column)];
  const parameterCount = search.parameters?.length ?? 0;
  const distance = `${quoteIdentifier(column.name)} ${operator} $${parameterCount + 1}::vector`;
  const where = search.filter === undefined ? "" : ` WHERE (${search.filter})`;
  const sql = `SELECT ${quoteIdentifier(id.name)}, ${distance} FROM ${spelled(name, search)}${where} ORDER BY ${distance} LIMIT ${search.k}`;
  const kept = prepared.get(core) ?? new Map<string, Prepared>();
  prepared.set(core, kept);
  const found = kept.get(sql);
  if (found?.idType === id.type.oid) return found;
  const statements = parse(sql);
  if (statements.length !== 1) {
    throw new SqlError(SqlState.syntaxError, "the filter is not one condition");
  }
  const made = { statement: prepare(core, "", statements[0], [], false), idType: id.type.oid };
  const oldest = kept.keys().next();
  if (kept.size >= MAX_PREPARED && oldest.done !== true) kept.delete(oldest.value);
  kept.set(sql, made);
  return made;
}

/** The metric of the vector index that a search of the column would use: the first one's. */
function indexMetric(core: SessionCore, table: TableEntry, column: ColumnEntry): VectorMetric {
  const attnum = table.columns.indexOf(column) + 1;
  for (const index of vectorIndexes(core, table, attnum)) {
    const opclass = core.catalog().operatorClassByOid(must(index.columns[0], "the indexed column").opclass);
    const metric = /^vector_(l2|ip|cosine|l1)_ops$/.exec(opclass?.name ?? "")?.[1];
    if (metric !== undefined) return metric as VectorMetric;
  }
  return "l2";
}

interface HitBatch {
  readonly ids: Int32Array | BigInt64Array | readonly string[];
  readonly distances: Float64Array;
}

/** A batch copied: it belongs to the plan. */
function hitsOf(core: SessionCore, batch: Batch, idType: number): HitBatch {
  const [ids, distances] = batch.columns as [Vector, Vector];
  return {
    ids: idsOf(core, ids, batch.rowCount, idType),
    distances: Float64Array.from(
      { length: batch.rowCount },
      (_, row) => (distances.get(row) ?? Number.NaN) as number,
    ),
  };
}

function idsOf(core: SessionCore, ids: Vector, count: number, type: number): HitBatch["ids"] {
  switch (type) {
    case Oid.int2:
    case Oid.int4:
      return Int32Array.from({ length: count }, (_, row) => ids.get(row) as number);
    case Oid.int8:
      return BigInt64Array.from({ length: count }, (_, row) => BigInt(ids.get(row) as number | bigint));
    default: {
      const codec = valueCodec(type);
      return Array.from({ length: count }, (_, row) => {
        const value = ids.get(row);
        return value === null ? "" : codec.format(value, core.types);
      });
    }
  }
}

function joined(batches: readonly HitBatch[], idType: number): VectorHits {
  const only = batches[0];
  if (batches.length === 1 && only !== undefined) return only;
  const distances = Float64Array.from(batches.flatMap((batch) => Array.from(batch.distances)));
  switch (idType) {
    case Oid.int2:
    case Oid.int4:
      return { ids: Int32Array.from(batches.flatMap(({ ids }) => Array.from(ids as Int32Array))), distances };
    case Oid.int8:
      return {
        ids: BigInt64Array.from(batches.flatMap(({ ids }) => Array.from(ids as BigInt64Array))),
        distances,
      };
    default:
      return { ids: batches.flatMap(({ ids }) => ids as readonly string[]), distances };
  }
}
