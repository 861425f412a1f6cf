// Three-valued logic over Vectors of booleans.
import { BoolVector, type Vector } from "../../common/batch/vector.ts";

export const FALSE = 0;
export const TRUE = 1;
export const UNKNOWN = 2;

/** FALSE, TRUE or UNKNOWN per row. */
export function truthOf(vector: Vector, rowCount: number): Uint8Array {
  const out = new Uint8Array(rowCount);
  if (vector.kind === "bool") {
    const { values, nulls } = vector;
    for (let i = 0; i < rowCount; i++) {
      out[i] = nulls !== undefined && nulls[i] === 1 ? UNKNOWN : (values[i] as number);
    }
    return out;
  }
  for (let i = 0; i < rowCount; i++) {
    const value = vector.get(i);
    out[i] = value === null ? UNKNOWN : value === true ? TRUE : FALSE;
  }
  return out;
}

/** The boolean column of truth values. */
export function fromTruth(truth: Uint8Array): BoolVector {
  const count = truth.length;
  const values = new Uint8Array(count);
  let nulls: Uint8Array | undefined;
  for (let i = 0; i < count; i++) {
    if (truth[i] === UNKNOWN) {
      nulls ??= new Uint8Array(count);
      nulls[i] = 1;
    } else values[i] = truth[i] as number;
  }
  return new BoolVector(values, nulls, count);
}

/** Positions of the rows that are TRUE; undefined when all are. */
export function trueRows(vector: Vector, rowCount: number): Uint32Array | undefined {
  if (vector.kind === "constant") return vector.value === true ? undefined : new Uint32Array(0);
  const rows = new Uint32Array(rowCount);
  let count = 0;
  if (vector.kind === "bool") {
    const { values, nulls } = vector;
    for (let i = 0; i < rowCount; i++) {
      if (values[i] === 1 && (nulls === undefined || nulls[i] === 0)) rows[count++] = i;
    }
  } else {
    for (let i = 0; i < rowCount; i++) {
      if (vector.get(i) === true) rows[count++] = i;
    }
  }
  return count === rowCount ? undefined : rows.subarray(0, count);
}
