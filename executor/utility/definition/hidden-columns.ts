// Columns a table has only for its indexes: the values of an index's expressions and of its predicate, stored with the row and
// computed like generated columns. Versions, recovery and every index method then work over expressions as they do over
// columns.
//
//   btree            a hidden column per expression, one for the predicate (the index's guard), and one per vector column: keys
//                    are made of a row's bytes, and vectors of a declared dimension lie in segments outside the row
//   hnsw, bm25       one hidden column, NULL where the predicate does not hold; also for bit strings and
//                    sparse vectors, which it packs
//
// Under a predicate an expression is computed only where the predicate holds, as PostgreSQL computes it only for the rows
// of the index: it may fail on others.
//
// Rows that exist get their values beside the versions they have (session/fill-columns.ts). Writers do not know the columns before
// the commit, so at the end the builder keeps them away (SHARE ROW EXCLUSIVE), and a snapshot older than the index must not
// read by it, for the versions it sees may have no values (session/planning.ts).
import {
  type ColumnEntry,
  type IndexColumn,
  type IndexEntry,
  type IndexPredicate,
  isHidden,
  storedAttnum,
  type TableEntry,
} from "../../../catalog/entries.ts";
import { must } from "../../../common/assert.ts";
import { notSupported } from "../../../common/error.ts";
import { quoteIdentifier } from "../../../common/identifier.ts";
import { Oid } from "../../../common/types/oid.ts";
import type { SqlType } from "../../../common/types/type.ts";
import type { CreateIndexPlan, IndexColumnDefinition } from "../../../planner/physical/definition.ts";
import { columnSpec } from "../../storage/column-spec.ts";
import { singleValueBuffer } from "../../storage/column-buffer.ts";
import { attnumOf } from "./column-number.ts";
import type { DefinitionContext } from "./context.ts";

/** Whether making the index changes its table. */
export function needsHiddenColumns(plan: CreateIndexPlan): boolean {
  return (
    plan.predicate !== undefined ||
    needsPacking(plan) ||
    plan.columns.some(
      (column) => column.expression !== undefined || (plan.method === "btree" && isInSegments(plan, column)),
    )
  );
}

function isInSegments(plan: CreateIndexPlan, definition: IndexColumnDefinition): boolean {
  const column = plan.table.columns.find((candidate) => candidate.name === definition.column);
  return column !== undefined && !column.isDropped && columnSpec(column.type).kind === "vector";
}

const PACKED_TYPES: ReadonlySet<number> = new Set([Oid.bit, Oid.sparsevec]);

/** Bit strings and sparse vectors lie in rows as bytes; a graph reads words. */
function needsPacking({ table, columns, method }: CreateIndexPlan): boolean {
  return (
    (method === "hnsw" || method === "ivfflat") &&
    columns.some(({ column, expression }) => {
      const type = expression?.type ?? table.columns.find((c) => !c.isDropped && c.name === column)?.type;
      return type !== undefined && PACKED_TYPES.has(type.oid);
    })
  );
}

/**
 * The type of a hidden column: under a btree a vector's without its dimension, so that it is kept with the row; under a graph
 * a bit string's or sparse vector's packed.
 */
function hiddenType(type: SqlType, plan: CreateIndexPlan): SqlType {
  if (plan.method === "btree") return columnSpec(type).kind === "vector" ? { ...type, typmod: -1 } : type;
  return PACKED_TYPES.has(type.oid) && needsPacking(plan) ? { ...type, isPacked: true } : type;
}

export interface IndexedColumns {
  /** With the hidden columns. */
  readonly table: TableEntry;
  readonly columns: readonly IndexColumn[];
  readonly predicate: IndexPredicate | undefined;
  /** attnums of the hidden columns, which rows have no values in yet. */
  readonly added: readonly number[];
}

/** Adds the hidden columns of an index; changes nothing where it needs none. */
export function addHiddenColumns(plan: CreateIndexPlan, context: DefinitionContext): IndexedColumns {
  const builder = new HiddenColumns(plan);
  const columns = plan.columns.map((column) => builder.indexColumn(column));
  const predicate = builder.predicate();
  const { table, added } = builder;
  for (const { type } of added) {
    context.transaction.addColumn(table.storageId, columnSpec(type), singleValueBuffer(type, null));
  }
  if (added.length > 0) context.put(table);
  return { table, columns, predicate, added: added.map((column) => column.attnum) };
}

/** Gathers the columns one index adds. */
class HiddenColumns {
  readonly added: ColumnEntry[] = [];
  readonly #plan: CreateIndexPlan;

  constructor(plan: CreateIndexPlan) {
    this.#plan = plan;
  }

  get table(): TableEntry {
    const { table } = this.#plan;
    if (this.added.length === 0) return table;
    return { ...table, version: table.version + 1, columns: [...table.columns, ...this.added] };
  }

  indexColumn(definition: IndexColumnDefinition): IndexColumn {
    const { table, method, predicate } = this.#plan;
    const { opclass, descending, nullsFirst, expression } = definition;
    const ordering = { opclass, descending, nullsFirst };
    if (expression === undefined) {
      const attnum = attnumOf(table, must(definition.column, "a column or an expression"));
      const needsOwn =
        method === "btree"
          ? isInSegments(this.#plan, definition)
          : predicate !== undefined || needsPacking(this.#plan);
      if (!needsOwn) return { attnum, ...ordering };
      const { name, type, collation } = must(table.columns[attnum - 1], "the indexed column");
      return {
        attnum,
        hiddenAttnum: this.#add(this.#guarded(quoteIdentifier(name)), type, collation),
        ...ordering,
      };
    }
    const { text, isCall, reads } = expression;
    return {
      attnum: 0,
      expression: { text, isCall, name: definition.name, reads: reads.map((name) => attnumOf(table, name)) },
      hiddenAttnum: this.#add(this.#guarded(text), expression.type, expression.collation),
      ...ordering,
    };
  }

  predicate(): IndexPredicate | undefined {
    const { table, method, predicate } = this.#plan;
    if (predicate === undefined) return undefined;
    const { text, reads } = predicate;
    const hiddenAttnum = method === "btree" ? this.#add(text, { oid: Oid.bool, typmod: -1 }, 0) : 0;
    return { text, reads: reads.map((name) => attnumOf(table, name)), hiddenAttnum };
  }

  #guarded(text: string): string {
    const { predicate } = this.#plan;
    return predicate === undefined ? text : `CASE WHEN ${predicate.text} THEN ${text} END`;
  }

  /** The attnum of a new column. */
  #add(generated: string, type: SqlType, collation: number): number {
    const attnum = this.#plan.table.columns.length + this.added.length + 1;
    this.added.push({
      name: droppedName(attnum),
      attnum,
      type: hiddenType(type, this.#plan),
      notNull: false,
      default: undefined,
      identity: "",
      generated,
      collation,
      isDropped: true,
      ownedSequence: 0,
    });
    return attnum;
  }
}

/** The table without the columns of an index that goes: what is left are dropped columns. */
export function withoutHiddenColumns(table: TableEntry, index: IndexEntry): TableEntry {
  const hidden = new Set([...index.columns.map(storedAttnum), index.predicate?.hiddenAttnum]);
  const columns = table.columns.map((column) =>
    isHidden(column) && hidden.has(column.attnum) ? { ...column, generated: undefined } : column,
  );
  return columns.some((column, i) => column !== table.columns[i]) ? { ...table, columns } : table;
}

/** Whether an index computes anything from the column. */
export function readsColumn(index: IndexEntry, attnum: number): boolean {
  return (
    index.columns.some((column) => column.attnum === attnum || column.expression?.reads.includes(attnum)) ||
    index.predicate?.reads.includes(attnum) === true
  );
}

/** PostgreSQL's name for what is left of a dropped column. */
export function droppedName(attnum: number): string {
  return `........pg.dropped.${attnum}........`;
}

/** An older snapshot's rows cannot be given values, and its transaction could not be told from one that sees them all. */
export function refuseOldSnapshot(plan: CreateIndexPlan, hasSnapshot: boolean): void {
  if (hasSnapshot && needsHiddenColumns(plan))
    throw notSupported(
      "an expression or partial index in a REPEATABLE READ transaction that has read already",
    );
}
