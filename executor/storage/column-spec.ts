// How the engine stores a SQL type. A vector column with a declared dimension lives in vector segments; one without has rows
// of any dimension and is kept as bytes, which no index can use (pgvector: "column does not have dimensions").
import { Oid } from "../../common/types/oid.ts";
import { codecOf } from "../../common/types/registry.ts";
import type { SqlType } from "../../common/types/type.ts";
import type { ColumnSpec } from "../../native/engine.ts";

export function columnSpec(type: SqlType): ColumnSpec {
  if (type.oid === Oid.vector) {
    return type.typmod > 0 ? { kind: "vector", dim: type.typmod } : { kind: "bytes", dim: 0 };
  }
  return { kind: codecOf(type.oid).storageKind, dim: 0 };
}
