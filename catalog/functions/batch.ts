// What the whole-batch kernels share: arguments as plain number arrays, merged NULLs, and loops for comparison
// and arithmetic. A kernel answers undefined for representations it does not know (boxed, wide int8), and then the row
// body runs. The value under a NULL is unspecified, so an overflow there must not be an error.
import { BoolVector, ConstantVector, type Nulls, type Vector } from "../../common/batch/vector.ts";

export type NumberArray = Int32Array | Float64Array;

/** A column of numbers, or one number for all rows. */
export type NumberOperand =
  | { readonly kind: "column"; readonly values: NumberArray; readonly nulls: Nulls }
  | { readonly kind: "constant"; readonly value: number };

/** undefined = not numbers in a typed array (wide, boxed, NULL constant, other types). */
export function numberOperand(vector: Vector): NumberOperand | undefined {
  switch (vector.kind) {
    case "i32":
    case "f64":
      return { kind: "column", values: vector.values, nulls: vector.nulls };
    case "i64":
      return vector.values === undefined
        ? undefined
        : { kind: "column", values: vector.values, nulls: vector.nulls };
    case "constant":
      return typeof vector.value === "number" ? { kind: "constant", value: vector.value } : undefined;
    default:
      return undefined;
  }
}

/** A strict function of a NULL constant is NULL everywhere. */
export function nullConstant(args: readonly Vector[], rowCount: number): Vector | undefined {
  const isNull = args.some((arg) => arg.kind === "constant" && arg.value === null);
  return isNull ? new ConstantVector(null, rowCount) : undefined;
}

/** Rows where either is NULL. */
export function mergeNulls(a: Nulls, b: Nulls, rowCount: number): Nulls {
  if (a === undefined) return b;
  if (b === undefined || a === b) return a;
  const merged = new Uint8Array(rowCount);
  for (let i = 0; i < rowCount; i++) merged[i] = (a[i] as number) | (b[i] as number);
  return merged;
}

export type Comparison = "eq" | "ne" | "lt" | "le" | "gt" | "ge";

const MIRRORED: Readonly<Record<Comparison, Comparison>> = {
  eq: "eq",
  ne: "ne",
  lt: "gt",
  le: "ge",
  gt: "lt",
  ge: "le",
};

/** Compares as PostgreSQL does: NaN equals NaN and is above all other numbers. */
export function compareBatch(
  operation: Comparison,
  args: readonly Vector[],
  rowCount: number,
): Vector | undefined {
  const absent = nullConstant(args, rowCount);
  if (absent !== undefined) return absent;
  const left = numberOperand(args[0] as Vector);
  const right = numberOperand(args[1] as Vector);
  if (left === undefined || right === undefined) return undefined;
  if (left.kind === "constant") {
    if (right.kind === "constant") return undefined;
    return compareWithConstant(MIRRORED[operation], right.values, left.value, right.nulls, rowCount);
  }
  if (right.kind === "constant")
    return compareWithConstant(operation, left.values, right.value, left.nulls, rowCount);
  const out = new Uint8Array(rowCount);
  compareColumns(operation, left.values, right.values, out, rowCount);
  if (left.values instanceof Float64Array || right.values instanceof Float64Array) {
    for (let i = 0; i < rowCount; i++) {
      const a = left.values[i] as number;
      const b = right.values[i] as number;
      if (a !== a || b !== b) out[i] = compareWithNaN(operation, a, b);
    }
  }
  return new BoolVector(out, mergeNulls(left.nulls, right.nulls, rowCount), rowCount);
}

function compareWithNaN(operation: Comparison, a: number, b: number): number {
  const order = (a !== a ? 1 : 0) - (b !== b ? 1 : 0);
  switch (operation) {
    case "eq":
      return order === 0 ? 1 : 0;
    case "ne":
      return order !== 0 ? 1 : 0;
    case "lt":
      return order < 0 ? 1 : 0;
    case "le":
      return order <= 0 ? 1 : 0;
    case "gt":
      return order > 0 ? 1 : 0;
    case "ge":
      return order >= 0 ? 1 : 0;
  }
}

function compareColumns(
  operation: Comparison,
  a: NumberArray,
  b: NumberArray,
  out: Uint8Array,
  count: number,
): void {
  switch (operation) {
    case "eq":
      for (let i = 0; i < count; i++) out[i] = a[i] === b[i] ? 1 : 0;
      break;
    case "ne":
      for (let i = 0; i < count; i++) out[i] = a[i] !== b[i] ? 1 : 0;
      break;
    case "lt":
      for (let i = 0; i < count; i++) out[i] = a[i]! < b[i]! ? 1 : 0;
      break;
    case "le":
      for (let i = 0; i < count; i++) out[i] = a[i]! <= b[i]! ? 1 : 0;
      break;
    case "gt":
      for (let i = 0; i < count; i++) out[i] = a[i]! > b[i]! ? 1 : 0;
      break;
    case "ge":
      for (let i = 0; i < count; i++) out[i] = a[i]! >= b[i]! ? 1 : 0;
      break;
  }
}

function compareWithConstant(
  operation: Comparison,
  a: NumberArray,
  b: number,
  nulls: Nulls,
  count: number,
): BoolVector {
  const out = new Uint8Array(count);
  switch (operation) {
    case "eq":
      for (let i = 0; i < count; i++) out[i] = a[i] === b ? 1 : 0;
      break;
    case "ne":
      for (let i = 0; i < count; i++) out[i] = a[i] !== b ? 1 : 0;
      break;
    case "lt":
      for (let i = 0; i < count; i++) out[i] = a[i]! < b ? 1 : 0;
      break;
    case "le":
      for (let i = 0; i < count; i++) out[i] = a[i]! <= b ? 1 : 0;
      break;
    case "gt":
      for (let i = 0; i < count; i++) out[i] = a[i]! > b ? 1 : 0;
      break;
    case "ge":
      for (let i = 0; i < count; i++) out[i] = a[i]! >= b ? 1 : 0;
      break;
  }
  if (a instanceof Float64Array) {
    for (let i = 0; i < count; i++) {
      const value = a[i] as number;
      if (value !== value || b !== b) out[i] = compareWithNaN(operation, value, b);
    }
  }
  return new BoolVector(out, nulls, count);
}

export type Arithmetic = "add" | "subtract" | "multiply";

export interface ArithmeticResult {
  readonly values: Float64Array;
  readonly nulls: Nulls;
}

/** a op b in double arithmetic, unchecked: the caller judges the values where there is no NULL. */
export function arithmeticBatch(
  operation: Arithmetic,
  args: readonly Vector[],
  rowCount: number,
): ArithmeticResult | undefined {
  const left = numberOperand(args[0] as Vector);
  const right = numberOperand(args[1] as Vector);
  if (left === undefined || right === undefined) return undefined;
  if (left.kind === "constant" && right.kind === "constant") return undefined;
  const values = new Float64Array(rowCount);
  const a = columnOf(left, rowCount);
  const b = columnOf(right, rowCount);
  switch (operation) {
    case "add":
      for (let i = 0; i < rowCount; i++) values[i] = a[i]! + b[i]!;
      break;
    case "subtract":
      for (let i = 0; i < rowCount; i++) values[i] = a[i]! - b[i]!;
      break;
    case "multiply":
      for (let i = 0; i < rowCount; i++) values[i] = a[i]! * b[i]!;
      break;
  }
  const leftNulls = left.kind === "column" ? left.nulls : undefined;
  const rightNulls = right.kind === "column" ? right.nulls : undefined;
  return { values, nulls: mergeNulls(leftNulls, rightNulls, rowCount) };
}

function columnOf(operand: NumberOperand, rowCount: number): NumberArray {
  return operand.kind === "column" ? operand.values : new Float64Array(rowCount).fill(operand.value);
}
