// Sub-selects inside expressions. The inner plan runs through context.buildOperator; correlated ones once per outer row with
// the outer slots set, others once, their result kept in the context while the outer values they read are the same.
import { must } from "../../common/assert.ts";
import { type Batch, ConstantVector, type Vector, vectorOf } from "../../common/batch/vector.ts";
import { SqlError, SqlState } from "../../common/error.ts";
import { SqlArray } from "../../common/types/array.ts";
import { elementOidOf } from "../../common/types/oid.ts";
import type { Datum } from "../../common/types/type.ts";
import type { BoundExpression, SubqueryExpression } from "../../planner/logical/expression.ts";
import type { PhysicalPlan } from "../../planner/physical/plan.ts";
import { detach } from "../batch/column-builder.ts";
import { gather } from "../batch/gather.ts";
import { type HashKey, strictRowKey } from "../batch/hash-key.ts";
import { RowStore } from "../batch/row-store.ts";
import type { ExecutionContext } from "../context.ts";
import { vectorKindOf } from "./caller.ts";
import { sharesHashFamily } from "./comparison.ts";
import { type Compile, type Evaluate, evaluateAll } from "./evaluate.ts";
import { freeValues } from "./free-references.ts";
import { FALSE, fromTruth, TRUE, truthOf, UNKNOWN } from "./truth.ts";

/** What a run of the inner plan is boiled down to. */
type Answer =
  | { readonly kind: "value"; readonly value: Datum }
  | { readonly kind: "rows"; readonly rows: InnerRows };

export function compileSubquery(expression: SubqueryExpression, compile: Compile): Evaluate {
  const plan = must(expression.plan, "subqueries are planned before they run");
  const bindings = expression.bindings.map((binding) => ({
    id: binding.id,
    evaluate: compile(binding.value),
  }));
  const testArgs = expression.testArgs.map(compile);
  const test = expression.test === undefined ? undefined : compile(expression.test);
  const hashable = expression.isHashable && canHash(expression, plan);
  const kind = vectorKindOf(expression.type);

  const evaluate: Evaluate = async (batch, context) => {
    const bound = await evaluateAll(
      bindings.map((binding) => binding.evaluate),
      batch,
      context,
    );
    const left = await evaluateAll(testArgs, batch, context);
    if (batch.rowCount === 0) return new ConstantVector(null, 0);
    if (bindings.length === 0 && test === undefined) {
      const answer = await keptAnswer(expression, plan, hashable, context);
      return new ConstantVector(answer.kind === "value" ? answer.value : null, batch.rowCount);
    }
    const values = new Array<Datum>(batch.rowCount);
    for (let row = 0; row < batch.rowCount; row++) {
      for (let i = 0; i < bindings.length; i++) {
        context.outer[must(bindings[i], "a binding").id] = detach((bound[i] as Vector).get(row));
      }
      const answer = await keptAnswer(expression, plan, hashable, context);
      values[row] =
        answer.kind === "value"
          ? answer.value
          : await quantified(
              expression,
              answer.rows,
              left,
              row,
              must(test, "ANY and ALL have a test"),
              context,
            );
      const pause = context.turn();
      if (pause !== undefined) await pause;
    }
    return vectorOf(kind, values);
  };
  return evaluate;
}

/** An answer, and what the plan read from outside when it was made. */
interface KeptAnswer {
  readonly outside: ReturnType<typeof freeValues>;
  readonly answer: Answer;
}

/** Runs the plan unless the last result was for the same values from outside. */
async function keptAnswer(
  expression: SubqueryExpression,
  plan: PhysicalPlan,
  hashable: boolean,
  context: ExecutionContext,
): Promise<Answer> {
  const outside = freeValues(plan, context);
  const kept = context.subqueries.get(expression) as KeptAnswer | undefined;
  if (kept !== undefined && kept.outside.every((value, i) => Object.is(value, outside[i])))
    return kept.answer;
  if (kept?.answer.kind === "rows") kept.answer.rows.store.release();
  context.subqueries.delete(expression);
  const answer = await run(expression, plan, hashable, context);
  context.subqueries.set(expression, { outside, answer } satisfies KeptAnswer);
  return answer;
}

async function run(
  expression: SubqueryExpression,
  plan: PhysicalPlan,
  hashable: boolean,
  context: ExecutionContext,
): Promise<Answer> {
  const operator = context.buildOperator(plan, context);
  try {
    await operator.open();
    switch (expression.subqueryKind) {
      case "exists":
        return { kind: "value", value: (await operator.next()) !== undefined };
      case "scalar": {
        const first = await operator.next();
        if (first === undefined) return { kind: "value", value: null };
        const value = detach((first.columns[0] as Vector).get(0));
        if (first.rowCount > 1 || (await operator.next()) !== undefined) {
          throw new SqlError(
            SqlState.cardinalityViolation,
            "more than one row returned by a subquery used as an expression",
          );
        }
        return { kind: "value", value };
      }
      case "array": {
        const elements: Datum[] = [];
        for (let batch = await operator.next(); batch !== undefined; batch = await operator.next()) {
          for (let row = 0; row < batch.rowCount; row++)
            elements.push(detach((batch.columns[0] as Vector).get(row)));
        }
        return { kind: "value", value: arrayOf(expression, elements) };
      }
      case "any":
      case "all": {
        const store = new RowStore(plan.output.length, context);
        for (let batch = await operator.next(); batch !== undefined; batch = await operator.next()) {
          store.append(batch.columns, batch.rowCount);
        }
        return { kind: "rows", rows: new InnerRows(store, plan, hashable) };
      }
    }
  } finally {
    operator.close();
  }
}

/** ARRAY(SELECT ...): of arrays, one more dimension. */
function arrayOf(expression: SubqueryExpression, elements: readonly Datum[]): SqlArray {
  const elementOid = elementOidOf(expression.type.oid) ?? 25;
  if (elements.some((element) => element instanceof SqlArray)) {
    return SqlArray.stack(elementOid, elements as (SqlArray | null)[]);
  }
  return SqlArray.of(elementOid, elements);
}

/** The rows of an ANY/ALL sub-select, with a hash of those without NULLs where plain equality decides. */
class InnerRows {
  readonly store: RowStore;
  readonly keys: ReadonlySet<HashKey> | undefined;
  /** Rows with a NULL in them: a hash cannot answer for these. */
  readonly nullRows: Uint32Array;

  constructor(store: RowStore, plan: PhysicalPlan, hashable: boolean) {
    this.store = store;
    if (!hashable) {
      this.nullRows = new Uint32Array(0);
      this.keys = undefined;
      return;
    }
    const key = strictRowKey(plan.output.map((column) => column.type));
    const keys = new Set<HashKey>();
    const nullRows: number[] = [];
    const columns = store.columns();
    for (let row = 0; row < store.rowCount; row++) {
      const found = key(columns, row);
      if (found === undefined) nullRows.push(row);
      else keys.add(found);
    }
    this.keys = keys;
    this.nullRows = Uint32Array.from(nullRows);
  }
}

/** ANY/ALL for one outer row. */
async function quantified(
  expression: SubqueryExpression,
  inner: InnerRows,
  left: readonly Vector[],
  row: number,
  test: Evaluate,
  context: ExecutionContext,
): Promise<Datum> {
  const isAny = expression.subqueryKind === "any";
  if (inner.store.rowCount === 0) return !isAny;
  const columns = inner.store.columns();
  if (inner.keys !== undefined) {
    const key = strictRowKey(expression.testArgs.map((arg) => arg.type))(left, row);
    if (key !== undefined) {
      if (inner.keys.has(key)) return true;
      if (inner.nullRows.length === 0) return false;
      const nullColumns = columns.map((column) => gather(column, inner.nullRows));
      return fold(nullColumns, inner.nullRows.length, left, row, test, isAny, context);
    }
  }
  return fold(columns, inner.store.rowCount, left, row, test, isAny, context);
}

/** The test over all inner rows, with the left-hand values as constants. */
async function fold(
  columns: readonly Vector[],
  rowCount: number,
  left: readonly Vector[],
  row: number,
  test: Evaluate,
  isAny: boolean,
  context: ExecutionContext,
): Promise<Datum> {
  const constants = left.map((vector) => new ConstantVector(vector.get(row), rowCount));
  const batch: Batch = { columns: [...columns, ...constants], rowCount };
  const decisive = isAny ? TRUE : FALSE;
  let outcome: number = isAny ? FALSE : TRUE;
  for (const truth of truthOf(await test(batch, context), rowCount)) {
    if (truth === decisive) return isAny;
    if (truth === UNKNOWN) outcome = UNKNOWN;
  }
  return fromTruth(Uint8Array.of(outcome)).get(0);
}

/** Plain equality of each column with the argument beside it, of types that hash alike. */
function canHash(expression: SubqueryExpression, plan: PhysicalPlan): boolean {
  const count = plan.output.length;
  if (
    expression.subqueryKind !== "any" ||
    expression.testArgs.length !== count ||
    expression.test === undefined
  ) {
    return false;
  }
  const terms = expression.test.kind === "and" ? expression.test.args : [expression.test];
  const isPair = (term: BoundExpression | undefined, i: number): boolean => {
    if (term?.kind !== "call") return false;
    const positions = term.args.map((arg) => (arg.kind === "column" ? arg.index : -1));
    return positions.includes(i) && positions.includes(i + count);
  };
  return (
    terms.length === count &&
    terms.every(isPair) &&
    plan.output.every((column, i) =>
      sharesHashFamily(column.type, must(expression.testArgs[i], "an argument per column").type),
    )
  );
}
