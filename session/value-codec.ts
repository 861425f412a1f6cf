// The codec of a value that crosses to or from a client. The catalogue lists all of PostgreSQL's types; one whose values are
// not served yet is 0A000 by name when a value of it would have to be read or printed.
import { builtinType } from "../catalog/builtin/types.ts";
import { CatalogOid } from "../catalog/catalog.ts";
import { notSupported } from "../common/error.ts";
import { SqlArray } from "../common/types/array.ts";
import { Oid } from "../common/types/oid.ts";
import { codecOf, lookupCodec } from "../common/types/registry.ts";
import type { TypeCodec } from "../common/types/type.ts";

export function valueCodec(typeOid: number): TypeCodec {
  const codec = lookupCodec(typeOid);
  if (codec !== undefined) return codec;
  if (typeOid >= CatalogOid.firstUser) return rowTypeCodec();
  throw notSupported(`type ${builtinType(typeOid)?.name ?? typeOid}`);
}

/** The types that users make are the row types of tables and their arrays: both print as records do. */
function rowTypeCodec(): TypeCodec {
  const one = codecOf(Oid.record);
  const many = codecOf(Oid.recordarray);
  return {
    ...one,
    format: (value, context) => (value instanceof SqlArray ? many : one).format(value, context),
    send: (value) => (value instanceof SqlArray ? many : one).send(value),
  };
}
