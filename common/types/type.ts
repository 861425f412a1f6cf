// What the rest of the code asks of a SQL type, and the JavaScript value ("Datum") that stands for one SQL value.
//
// Datum by type:
//   bool                        boolean
//   int2 int4 oid reg* xid      number
//   int8                        number while |v| < 2^53, else bigint (canonical: never a bigint that would fit)
//   float4 float8               number (float4 rounded by Math.fround)
//   numeric                     Numeric (bigint + scale, NaN, +-Infinity)
//   text varchar bpchar name "char" json      string
//   jsonb                       string: PostgreSQL's own canonical text output (keys sorted by length then bytes)
//   bytea                       Uint8Array
//   date                        number of days since 2000-01-01; infinity = 2147483647, -infinity = -2147483648 as PostgreSQL stores them
//   time                        number of microseconds
//   timestamp timestamptz       microseconds since 2000-01-01 (UTC), number or bigint as int8; infinities = int64 max and min
//   interval                    Interval { months, days, microseconds }
//   uuid                        string, lower case canonical form
//   arrays, int2vector, oidvector   SqlArray { elementOid, dimensions, lowerBounds, elements }
//   record                      SqlRecord { typeOids, values }
//   vector, halfvec             Float32Array (of a halfvec: values that a half-precision float holds)
//   sparsevec                   SparseVector { dimensions, indices, values }
//   bit, varbit                 BitString { length, bytes }
//   void, unknown               string
// NULL is null everywhere.
import type { BitString } from "./bit.ts";
import type { Interval } from "./interval.ts";
import type { Numeric } from "./numeric.ts";
import type { SqlArray } from "./array.ts";
import type { SqlRecord } from "./record.ts";
import type { SparseVector } from "./sparsevec.ts";

export type Datum =
  | null
  | boolean
  | number
  | bigint
  | string
  | Uint8Array
  | Float32Array
  | Numeric
  | Interval
  | SqlArray
  | SqlRecord
  | BitString
  | SparseVector;

/** A type with its modifier, as a column or expression has it. `typmod` -1 = none. */
export interface SqlType {
  readonly oid: number;
  readonly typmod: number;
  /** A bit string or sparse vector kept as the words of a vector column, which an index can search; see executor/storage/column-spec.ts. */
  readonly isPacked?: boolean | undefined;
}

/** The in-memory column representation (see common/batch/vector.ts). */
export type VectorKind = "bool" | "i32" | "i64" | "f64" | "text" | "boxed" | "embedding";

/** Storage kind of the engine; `text` vectors and every boxed type travel as `bytes`. */
export type StorageKind = "bool" | "i32" | "i64" | "f64" | "bytes" | "vector";

/** Key kind of the engine's btree; undefined = the type has no btree order here. */
export type KeyKind =
  | "bool"
  | "int"
  | "float"
  | "bytes"
  | "numeric"
  | "interval"
  | "bits"
  | "vector"
  | "halfvec"
  | "sparsevec";

/** Settings that change how values print and parse. */
export interface TypeContext {
  readonly dateStyle: {
    readonly format: "ISO" | "SQL" | "Postgres" | "German";
    readonly order: "DMY" | "MDY" | "YMD";
  };
  readonly intervalStyle: "postgres" | "postgres_verbose" | "sql_standard" | "iso_8601";
  /** IANA name, or a fixed offset such as "+03". */
  readonly timeZone: string;
  readonly extraFloatDigits: number;
  readonly byteaOutput: "hex" | "escape";
  /** Microseconds since 2000-01-01 UTC: start of the transaction, for 'now', 'today'. */
  readonly now: () => number;
  /** Names for reg* input and output; undefined where no catalogue is at hand (then numbers only). */
  readonly names?: RegNames | undefined;
}

/** Look-ups behind regclass, regtype, regproc ... text forms. */
export interface RegNames {
  parse(kind: RegKind, text: string): number;
  format(kind: RegKind, oid: number): string;
}
export type RegKind =
  | "regclass"
  | "regtype"
  | "regproc"
  | "regprocedure"
  | "regnamespace"
  | "regoper"
  | "regoperator"
  | "regrole"
  | "regconfig"
  | "regdictionary"
  | "regcollation";

/** Behaviour of one type. Pure: no I/O, no globals. */
export interface TypeCodec {
  readonly oid: number;
  /** pg_type.typname, e.g. "int4". */
  readonly name: string;
  readonly vectorKind: VectorKind;
  readonly storageKind: StorageKind;
  readonly keyKind: KeyKind | undefined;
  /** Text input; throws SqlError 22P02, 22003, 22007 ... with PostgreSQL's words. Applies the type modifier as a column assignment from a literal does. */
  parse(text: string, typmod: number, context: TypeContext): Datum;
  /**
   * Reads the text of a value from its bytes without making a string of them, where there is a quicker way for most texts;
   * undefined = not such a text, and parse() reads it or says what is wrong. Texts read here are valid UTF-8 without NUL.
   */
  readonly parsePlain?: (bytes: Uint8Array) => Datum | undefined;
  /** Text output; `value` is never null. */
  format(value: Datum, context: TypeContext): string;
  /** Binary input as PostgreSQL's typreceive: `bytes` is exactly one value. Throws 22P03. */
  receive(bytes: Uint8Array, typmod: number, context: TypeContext): Datum;
  /** Binary output as PostgreSQL's typsend. */
  send(value: Datum): Uint8Array;
  /** Bytes kept by the engine for storage kind `bytes`; order-preserving where keyKind says so. */
  toStorage(value: Datum): Uint8Array;
  fromStorage(bytes: Uint8Array): Datum;
  /** btree order: negative, 0, positive; NaN greatest for floats. undefined = no order (json, ...). */
  readonly compare: ((a: Datum, b: Datum) => number) | undefined;
  /** A primitive equal for equal values and different for different ones (within the type): GROUP BY, DISTINCT, hash joins. undefined = no equality. */
  readonly hashKey: ((value: Datum) => string | number | boolean | bigint) | undefined;
}
