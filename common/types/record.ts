// SQL record (row) value: the fields with their types. Text form, binary output and comparison are in record-codec.ts.
import type { Datum } from "./type.ts";

export class SqlRecord {
  readonly typeOids: readonly number[];
  readonly values: readonly Datum[];
  /** Field names where the row came from a relation or a function with OUT columns; row_to_json uses them. */
  readonly names: readonly string[] | undefined;

  constructor(typeOids: readonly number[], values: readonly Datum[], names?: readonly string[]) {
    this.typeOids = typeOids;
    this.values = values;
    this.names = names;
  }
}
