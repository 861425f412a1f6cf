// For the executor's tests: expressions and plans written short, an execution without an engine, results as plain rows.
// Functions are the catalogue's own entries, so that the tests run the bodies that users run.
import { bootstrapEntries, storedEntry } from "../../catalog/bootstrap.ts";
import { CatalogCache } from "../../catalog/cache.ts";
import { CatalogOid, type CatalogSnapshot } from "../../catalog/catalog.ts";
import type { FunctionEntry } from "../../catalog/functions/function.ts";
import { must, unreachable } from "../../common/assert.ts";
import type { FunctionContext } from "../../common/function-context.ts";
import { elementOidOf, Oid } from "../../common/types/oid.ts";
import { codecOf } from "../../common/types/registry.ts";
import type { Datum, SqlType, TypeContext } from "../../common/types/type.ts";
import type { Engine, EngineTransaction } from "../../native/engine.ts";
import type { AggregateCall, BoundExpression, OutputColumn } from "../../planner/logical/expression.ts";
import type { PhysicalPlan, PlannedStatement } from "../../planner/physical/plan.ts";
import type { ConstraintHost } from "../constraint/host.ts";
import type { ExecutionOptions } from "../context.ts";
import { executePlan } from "../execution.ts";

export const catalog: CatalogSnapshot = (() => {
  const cache = new CatalogCache();
  cache.refresh(1, bootstrapEntries("postgres").map(storedEntry));
  return must(cache.snapshot(CatalogOid.postgresDatabase), "the database postgres");
})();

export const types: TypeContext = {
  dateStyle: { format: "ISO", order: "MDY" },
  intervalStyle: "postgres",
  timeZone: "UTC",
  extraFloatDigits: 1,
  byteaOutput: "hex",
  now: () => 0,
};

const functionContext = {
  types,
  session: { getSetting: () => undefined },
  catalog: { searchPath: () => ["pg_catalog"], snapshot: catalog },
} as unknown as FunctionContext;

export const type = (oid: number): SqlType => ({ oid, typmod: -1 });
const base = (oid: number) => ({ type: type(oid), collation: 0, position: 0 });

/** A constant of a type from its text form; null = NULL. */
export function lit(oid: number, text: string | null): BoundExpression {
  return {
    kind: "constant",
    ...base(oid),
    value: text === null ? null : codecOf(oid).parse(text, -1, types),
  };
}
export const int = (value: number | null): BoundExpression =>
  lit(Oid.int4, value === null ? null : String(value));
export const text = (value: string | null): BoundExpression => lit(Oid.text, value);
export const bool = (value: boolean | null): BoundExpression =>
  lit(Oid.bool, value === null ? null : String(value));
export const column = (index: number, oid: number = Oid.int4): BoundExpression => ({
  kind: "column",
  ...base(oid),
  index,
  name: `c${index}`,
});
export const outer = (id: number, oid: number = Oid.int4): BoundExpression => ({
  kind: "outer",
  ...base(oid),
  id,
  name: "o",
});

/** A function by name and exact argument types. */
export function entry(name: string, argumentTypes: readonly number[]): FunctionEntry {
  const found = catalog
    .functionsByName("pg_catalog", name, [])
    .find((candidate) => candidate.argumentTypes.join() === argumentTypes.join());
  return must(found, `function ${name}(${argumentTypes.join()})`);
}

export function call(
  name: string,
  args: readonly BoundExpression[],
  declared?: readonly number[],
): BoundExpression {
  const found = entry(name, declared ?? args.map((arg) => arg.type.oid));
  return {
    kind: "call",
    ...base(found.resultType),
    function: found,
    args,
    operator: undefined,
    cast: undefined,
  };
}

/** The function behind an operator. */
export function operatorEntry(name: string, left: number, right: number): FunctionEntry {
  const found = catalog
    .operatorsByName("pg_catalog", name, [])
    .find((candidate) => candidate.leftType === left && candidate.rightType === right);
  return must(catalog.functionByOid(must(found, `operator ${name}`).functionOid), "its function");
}

export function op(name: string, left: BoundExpression, right: BoundExpression): BoundExpression {
  const found = operatorEntry(name, left.type.oid, right.type.oid);
  return {
    kind: "call",
    ...base(found.resultType),
    function: found,
    args: [left, right],
    operator: name,
    cast: undefined,
  };
}

export const and = (...args: BoundExpression[]): BoundExpression => ({
  kind: "and",
  ...base(Oid.bool),
  args,
});
export const or = (...args: BoundExpression[]): BoundExpression => ({ kind: "or", ...base(Oid.bool), args });
export const arrayOf = (oid: number, elements: readonly BoundExpression[]): BoundExpression => ({
  kind: "array",
  ...base(
    must(
      [1007, 1009, 1016].find((array) => elementOidOf(array) === oid),
      "an array type",
    ),
  ),
  elements,
  isNested: false,
});

export function aggregate(
  name: string,
  args: readonly BoundExpression[],
  more: Partial<AggregateCall> = {},
): AggregateCall {
  const found = must(
    catalog
      .functionsByName("pg_catalog", name, [])
      .find(
        (candidate) =>
          candidate.kind === "a" &&
          candidate.argumentTypes.length === args.length &&
          candidate.argumentTypes.every(
            (oid, i) => oid === args[i]?.type.oid || [2276, 2283, 2277].includes(oid),
          ),
      ),
    `aggregate ${name}`,
  );
  return {
    function: found,
    args,
    isDistinct: false,
    filter: undefined,
    orderBy: [],
    type: type(found.resultType),
    collation: 0,
    ...more,
  };
}

let nextId = 1;
const columnsOf = (oids: readonly number[]): OutputColumn[] =>
  oids.map((oid, i) => ({ name: `c${i}`, type: type(oid), collation: 0, tableOid: 0, attnum: 0 }));

/** The fields every plan node has. */
export function node(oids: readonly number[]) {
  return {
    id: nextId++,
    output: columnsOf(oids),
    estimate: { startupCost: 0, totalCost: 0, rows: 0, width: 0 },
  };
}

/** VALUES of plain JavaScript values (already Datums). */
export function values(oids: readonly number[], rows: readonly (readonly Datum[])[]): PhysicalPlan {
  return {
    kind: "values",
    ...node(oids),
    rows: rows.map((row) =>
      row.map((value, i): BoundExpression => ({ kind: "constant", ...base(oids[i] as number), value })),
    ),
  };
}

export function project(input: PhysicalPlan, expressions: readonly BoundExpression[]): PhysicalPlan {
  return { kind: "project", ...node(expressions.map((e) => e.type.oid)), input, expressions };
}

/** One row through `expressions`. */
export const select = (...expressions: BoundExpression[]): PhysicalPlan =>
  project({ kind: "result", ...node([]), condition: undefined }, expressions);

export function planned(plan: PhysicalPlan): PlannedStatement {
  return {
    plan,
    commandType: "select",
    result: plan.output,
    parameterTypes: [],
    dependencies: [],
    locks: [],
    isReadOnly: true,
    rowLock: undefined,
  };
}

/** For tables without foreign keys and deferrable keys, which note nothing. */
const noConstraints: ConstraintHost = {
  foreignKey: () => undefined,
  constraintsOf: () => unreachable(undefined as never),
  lock: () => undefined,
  isDeferred: () => false,
  defer: () => undefined,
};

/** Options of an execution; without an engine any call of it fails. */
export function options(more: Partial<ExecutionOptions> = {}): ExecutionOptions {
  return {
    transaction: undefined as unknown as EngineTransaction,
    engine: undefined as unknown as Engine,
    wait: () => Promise.reject(new Error("nothing waits here")),
    parameters: [],
    functionContext,
    catalog,
    statistics: {
      sessions: () => [],
      locks: () => [],
      blockers: () => [],
      relationRows: () => ({
        rowCount: 0,
        deadCount: 0,
        sizeBytes: 0,
        vacuums: 0,
        lastVacuum: 0,
        collections: 0,
        lastCollection: 0,
      }),
      indexRows: () => ({ entryCount: 0, sizeBytes: 0 }),
      indexEntries: () => 0,
      sequence: () => ({ lastValue: 1n, isCalled: false }),
      builds: () => [],
      backups: () => [],
      vacuums: () => [],
    },
    settings: {
      exact: false,
      efSearch: undefined,
      targetRecall: undefined,
      maxScanTuples: undefined,
      enableIndexscan: true,
      workMemBytes: 4 << 20,
    },
    checkInterrupt: () => {},
    constraints: noConstraints,
    ...more,
  };
}

/** All rows of a plan, as Datums. */
export async function rowsOf(plan: PhysicalPlan, more: Partial<ExecutionOptions> = {}): Promise<Datum[][]> {
  const stream = executePlan(planned(plan), options(more));
  const rows: Datum[][] = [];
  try {
    for (let batch = await stream.next(); batch !== undefined; batch = await stream.next()) {
      for (let row = 0; row < batch.rowCount; row++)
        rows.push(batch.columns.map((vector) => vector.get(row)));
    }
  } finally {
    stream.close();
  }
  return rows;
}

/** Values in their text form, as psql prints them; NULL as null. */
export function printed(rows: readonly (readonly Datum[])[], plan: PhysicalPlan): (string | null)[][] {
  return rows.map((row) =>
    row.map((value, i) =>
      value === null ? null : codecOf(must(plan.output[i], "a column").type.oid).format(value, types),
    ),
  );
}
