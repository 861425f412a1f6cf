// SQL array value: elements in row-major order with dimension lengths and lower bounds, as PostgreSQL's ArrayType.
// Zero dimensions = the empty array. Text and binary forms are in array-codec.ts.
import { SqlError, SqlState } from "../error.ts";
import type { Datum } from "./type.ts";

/** PostgreSQL's MAXDIM. */
export const MAX_ARRAY_DIMENSIONS = 6;

export class SqlArray {
  readonly elementOid: number;
  /** Length of each dimension; empty for the empty array. */
  readonly dimensions: readonly number[];
  /** First subscript of each dimension, usually 1. */
  readonly lowerBounds: readonly number[];
  /** Row-major; null = NULL. */
  readonly elements: readonly Datum[];

  constructor(
    elementOid: number,
    dimensions: readonly number[],
    lowerBounds: readonly number[],
    elements: readonly Datum[],
  ) {
    this.elementOid = elementOid;
    this.dimensions = dimensions;
    this.lowerBounds = lowerBounds;
    this.elements = elements;
  }

  /** A one-dimensional array from 1, or the empty array. */
  static of(elementOid: number, elements: readonly Datum[]): SqlArray {
    if (elements.length === 0) return new SqlArray(elementOid, [], [], []);
    return new SqlArray(elementOid, [elements.length], [1], elements);
  }

  /**
   * ARRAY[a, b, ...] of arrays: one more dimension on the outside. Throws 2202E when the inner dimensions differ; all
   * inner arrays empty gives the empty array.
   */
  static stack(elementOid: number, arrays: readonly (SqlArray | null)[]): SqlArray {
    const first = arrays[0];
    if (first === undefined) return SqlArray.of(elementOid, []);
    if (arrays.every((array) => array === null || array.dimensions.length === 0)) {
      return SqlArray.of(elementOid, []);
    }
    const elements: Datum[] = [];
    for (const array of arrays) {
      const isSame =
        array !== null &&
        first !== null &&
        array.dimensions.length === first.dimensions.length &&
        array.dimensions.every((length, i) => length === first.dimensions[i]) &&
        array.lowerBounds.every((bound, i) => bound === first.lowerBounds[i]);
      if (!isSame) {
        throw new SqlError(
          SqlState.arraySubscriptError,
          "multidimensional arrays must have array expressions with matching dimensions",
        );
      }
      for (const element of array.elements) elements.push(element);
    }
    const inner = first as SqlArray;
    const dimensions = [arrays.length, ...inner.dimensions];
    if (dimensions.length > MAX_ARRAY_DIMENSIONS) throw tooManyDimensions(dimensions.length);
    return new SqlArray(elementOid, dimensions, [1, ...inner.lowerBounds], elements);
  }

  /** a[i][j]...: null outside the bounds or with a wrong number of subscripts. */
  subscript(indexes: readonly number[]): Datum {
    if (indexes.length !== this.dimensions.length) return null;
    let position = 0;
    for (let d = 0; d < indexes.length; d++) {
      const length = this.dimensions[d] as number;
      const offset = (indexes[d] as number) - (this.lowerBounds[d] as number);
      if (offset < 0 || offset >= length) return null;
      position = position * length + offset;
    }
    return this.elements[position] ?? null;
  }

  /** a[l:u][l:u]...: undefined bounds = the whole dimension. The result counts from 1; the empty array outside. */
  slice(
    ranges: readonly { readonly lower: number | undefined; readonly upper: number | undefined }[],
  ): SqlArray {
    const rank = this.dimensions.length;
    if (rank === 0 || ranges.length > rank) return SqlArray.of(this.elementOid, []);
    const from: number[] = [];
    const lengths: number[] = [];
    for (let d = 0; d < rank; d++) {
      const low = this.lowerBounds[d] as number;
      const high = low + (this.dimensions[d] as number) - 1;
      const lower = Math.max(ranges[d]?.lower ?? low, low);
      const upper = Math.min(ranges[d]?.upper ?? high, high);
      if (lower > upper) return SqlArray.of(this.elementOid, []);
      from.push(lower - low);
      lengths.push(upper - lower + 1);
    }
    const elements: Datum[] = [];
    const walk = (d: number, base: number): void => {
      for (let i = 0; i < (lengths[d] as number); i++) {
        const position = base * (this.dimensions[d] as number) + (from[d] as number) + i;
        if (d === rank - 1) elements.push(this.elements[position] ?? null);
        else walk(d + 1, position);
      }
    };
    walk(0, 0);
    return new SqlArray(
      this.elementOid,
      lengths,
      lengths.map(() => 1),
      elements,
    );
  }
}

export function tooManyDimensions(count: number): SqlError {
  return new SqlError(
    SqlState.programLimitExceeded,
    `number of array dimensions (${count}) exceeds the maximum allowed (${MAX_ARRAY_DIMENSIONS})`,
  );
}
