// What pgvector's access methods index.
import { SqlError, SqlState } from "../common/error.ts";
import { Oid } from "../common/types/oid.ts";
import type { SqlType } from "../common/types/type.ts";

/** Largest dimension by type (HNSW_MAX_DIM and its kin). */
const MAX_DIMENSIONS: ReadonlyMap<number, number> = new Map([
  [Oid.vector, 2000],
  [Oid.halfvec, 4000],
  [Oid.bit, 64_000],
  [Oid.sparsevec, 1_000_000_000],
]);

/** Throws unless the type is one that `method` takes, of a known dimension that is not too large. */
export function requireGraphType(type: SqlType | undefined, method: string): void {
  const limit = type === undefined ? undefined : MAX_DIMENSIONS.get(type.oid);
  if (type === undefined || limit === undefined)
    throw new SqlError(SqlState.featureNotSupported, `type not supported for ${method} index`);
  if (type.typmod < 1) throw new SqlError(SqlState.invalidParameterValue, "column does not have dimensions");
  if (type.typmod > limit) {
    throw new SqlError(
      SqlState.programLimitExceeded,
      `column cannot have more than ${limit} dimensions for ${method} index`,
    );
  }
}
