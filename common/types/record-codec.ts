// Text and binary output, order and hash of anonymous records (rows). PostgreSQL has no input for anonymous records: 0A000.
import { SqlError, SqlState } from "../error.ts";
import { ByteReader, ByteWriter } from "./bytes.ts";
import type { CodecLookup } from "./array-codec.ts";
import { Oid } from "./oid.ts";
import { SqlRecord } from "./record.ts";
import type { Datum, TypeCodec, TypeContext } from "./type.ts";

export function recordCodec(lookup: CodecLookup): TypeCodec {
  return {
    oid: Oid.record,
    name: "record",
    vectorKind: "boxed",
    storageKind: "bytes",
    keyKind: undefined,
    parse: () => {
      throw new SqlError(
        SqlState.featureNotSupported,
        "input of anonymous composite types is not implemented",
      );
    },
    format: (value, context) => formatRecord(value as SqlRecord, context, lookup),
    receive: () => {
      throw new SqlError(
        SqlState.featureNotSupported,
        "input of anonymous composite types is not implemented",
      );
    },
    send: (value) => sendRecord(value as SqlRecord, lookup),
    toStorage: (value) => sendRecord(value as SqlRecord, lookup),
    fromStorage: (bytes) => readRecord(bytes, lookup),
    compare: (a, b) => compareRecords(a as SqlRecord, b as SqlRecord, lookup),
    hashKey: (value) => hashRecord(value as SqlRecord, lookup),
  };
}

/** (a,"b c",,) : NULL is nothing, quotes and backslashes are doubled. */
function formatRecord(record: SqlRecord, context: TypeContext, lookup: CodecLookup): string {
  const fields = record.values.map((value, i) => {
    if (value === null) return "";
    const text = lookup(record.typeOids[i] as number).format(value, context);
    return text !== "" && !/["\\(),\s]/.test(text) ? text : `"${text.replace(/["\\]/g, "$&$&")}"`;
  });
  return `(${fields.join(",")})`;
}

/** int32 count, then per field int32 type oid, int32 size (-1 = NULL), bytes. */
function sendRecord(record: SqlRecord, lookup: CodecLookup): Uint8Array {
  const out = new ByteWriter();
  out.int32(record.values.length);
  record.values.forEach((value, i) => {
    const oid = record.typeOids[i] as number;
    out.int32(oid);
    if (value === null) {
      out.int32(-1);
      return;
    }
    const bytes = lookup(oid).send(value);
    out.int32(bytes.length);
    out.bytes(bytes);
  });
  return out.finish();
}

const NO_CONTEXT: TypeContext = {
  dateStyle: { format: "ISO", order: "MDY" },
  intervalStyle: "postgres",
  timeZone: "UTC",
  extraFloatDigits: 1,
  byteaOutput: "hex",
  now: () => 0,
};

function readRecord(bytes: Uint8Array, lookup: CodecLookup): SqlRecord {
  const reader = new ByteReader(bytes, "record");
  const count = reader.int32();
  const typeOids: number[] = [];
  const values: Datum[] = [];
  for (let i = 0; i < count; i++) {
    const oid = reader.int32() >>> 0;
    const size = reader.int32();
    typeOids.push(oid);
    values.push(size === -1 ? null : lookup(oid).receive(reader.bytes(size), -1, NO_CONTEXT));
  }
  return new SqlRecord(typeOids, values);
}

/** Field by field, NULLs last and equal. 42804 when the types differ. */
export function compareRecords(a: SqlRecord, b: SqlRecord, lookup: CodecLookup): number {
  const shared = Math.min(a.values.length, b.values.length);
  for (let i = 0; i < shared; i++) {
    const oid = a.typeOids[i] as number;
    if (oid !== b.typeOids[i]) {
      const names = `${lookup(oid).name} and ${lookup(b.typeOids[i] as number).name}`;
      throw new SqlError(
        SqlState.datatypeMismatch,
        `cannot compare dissimilar column types ${names} at record column ${i + 1}`,
      );
    }
    const left = a.values[i] as Datum;
    const right = b.values[i] as Datum;
    if (left === null || right === null) {
      if (left !== right) return left === null ? 1 : -1;
      continue;
    }
    const compare = lookup(oid).compare;
    if (compare === undefined) {
      throw new SqlError(
        SqlState.undefinedFunction,
        `could not identify a comparison function for type ${lookup(oid).name}`,
      );
    }
    const order = compare(left, right);
    if (order !== 0) return order;
  }
  if (a.values.length !== b.values.length) {
    throw new SqlError(
      SqlState.datatypeMismatch,
      "cannot compare record types with different numbers of columns",
    );
  }
  return 0;
}

function hashRecord(record: SqlRecord, lookup: CodecLookup): string {
  return record.values
    .map((value, i) => {
      if (value === null) return "";
      const codec = lookup(record.typeOids[i] as number);
      if (codec.hashKey === undefined) {
        throw new SqlError(
          SqlState.undefinedFunction,
          `could not identify a hash function for type ${codec.name}`,
        );
      }
      const key = String(codec.hashKey(value));
      return `${key.length}:${key}`;
    })
    .join(",");
}
