// The rules of a foreign key: how its values are compared, and what its actions write. Bound when they are needed, not with
// the plan of the statement that sets them off: a cascade may go on through any number of tables.
import type { CatalogSnapshot } from "../../catalog/catalog.ts";
import type { ConstraintEntry, ForeignKeyReference, IndexEntry, TableEntry } from "../../catalog/entries.ts";
import { must } from "../../common/assert.ts";
import { notSupported } from "../../common/error.ts";
import { Oid } from "../../common/types/oid.ts";
import type { SqlType } from "../../common/types/type.ts";
import type { PlannerContext } from "../context.ts";
import type { BoundExpression } from "../logical/expression.ts";
import type { ForeignKeyRules, TableConstraints } from "../physical/plan.ts";
import { coerce } from "./coerce.ts";
import { bindConstraints } from "./constraints.ts";
import type { BindContext } from "./context.ts";
import { makeBindContext } from "./index.ts";
import { columnDefault } from "./scalar.ts";
import { typeName } from "./types.ts";

/** What a cascade has to check and to note when it writes to a table. */
export function bindTableConstraints(planner: PlannerContext, table: TableEntry): TableConstraints {
  return bindConstraints(makeBindContext(planner), table);
}

/** The rules of a foreign key; undefined when it is gone. */
export function bindForeignKeyRules(
  planner: PlannerContext,
  constraintOid: number,
): ForeignKeyRules | undefined {
  const { catalog } = planner;
  const child = catalog.tableOfConstraint(constraintOid);
  const constraint = child?.constraints.find(({ oid }) => oid === constraintOid);
  const reference = constraint?.reference;
  if (child === undefined || constraint === undefined || reference === undefined) return undefined;
  const parent = catalog.entry("table", reference.tableOid);
  const parentIndex = catalog.entry("index", constraint.indexOid);
  if (parent?.kind !== "table" || parentIndex?.kind !== "index") return undefined;
  const context = makeBindContext(planner);
  const pairs = constraint.columns.map((attnum, i) => ({
    own: columnOf(child, attnum),
    other: columnOf(parent, must(reference.columns[i], "a referenced column")),
    position: i,
  }));
  return {
    constraint,
    reference,
    child,
    parent,
    parentIndex,
    childIndex: childIndexOf(catalog, child, constraint, parent, reference),
    childKey: pairs.map(({ own, other }) =>
      comparable(context, read(own, own.attnum - 1), { oid: other.type.oid, typmod: -1 }),
    ),
    cascaded: pairs.map(({ own, other, position }) => assigned(context, read(other, position), own.type)),
    defaults: pairs.map(({ own }) => columnDefault(context, own)),
  };
}

/** A btree index that starts with the key's columns in any order, whose values compare with the parent's as they are. */
function childIndexOf(
  catalog: CatalogSnapshot,
  child: TableEntry,
  constraint: ConstraintEntry,
  parent: TableEntry,
  reference: ForeignKeyReference,
): IndexEntry | undefined {
  const isAlike = constraint.columns.every((attnum, i) => {
    const own = columnOf(child, attnum).type.oid;
    const other = columnOf(parent, must(reference.columns[i], "a referenced column")).type.oid;
    return own === other || [INTEGERS, TEXTS].some((family) => family.has(own) && family.has(other));
  });
  if (!isAlike) return undefined;
  const count = constraint.columns.length;
  return catalog
    .indexesOf(child.oid)
    .find(
      (index) =>
        index.method === "btree" &&
        index.predicate === undefined &&
        index.keyCount >= count &&
        constraint.columns.every((attnum) =>
          index.columns.slice(0, count).some((column) => column.attnum === attnum),
        ),
    );
}

type Column = TableEntry["columns"][number];

function columnOf(table: TableEntry, attnum: number): Column {
  return must(table.columns[attnum - 1], "a key column");
}

function read(column: Column, index: number): BoundExpression {
  const { name, type, collation } = column;
  return { kind: "column", index, name, type, collation, position: 0 };
}

const INTEGERS: ReadonlySet<number> = new Set([Oid.int2, Oid.int4, Oid.int8]);
const TEXTS: ReadonlySet<number> = new Set([Oid.text, Oid.varchar]);

/**
 * A value of the child as one of the parent's type. Integers stay as they are: one that the parent's type cannot hold is
 * equal to none of its values, and a conversion would refuse it.
 */
function comparable(context: BindContext, value: BoundExpression, type: SqlType): BoundExpression {
  const from = value.type.oid;
  if (from === type.oid || (INTEGERS.has(from) && INTEGERS.has(type.oid))) return value;
  const converted = coerce(context, value, type, "implicit");
  if (converted !== undefined) return converted;
  throw notSupported(`a foreign key from type ${typeName(context, from)} to ${typeName(context, type.oid)}`);
}

function assigned(context: BindContext, value: BoundExpression, type: SqlType): BoundExpression {
  const converted = coerce(context, value, type, "assignment");
  if (converted !== undefined) return converted;
  throw notSupported(
    `a foreign key that cascades type ${typeName(context, value.type.oid)} to ${typeName(context, type.oid)}`,
  );
}
