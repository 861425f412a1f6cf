// Input, output and binary output functions of types as SQL calls them (`vector_in('[1,2]', 0, -1)`, `bit_send(B'1')`): the
// type's codec under PostgreSQL's names. Of bit strings and pgvector's types; receive functions take what SQL cannot write.
import { Oid } from "../../common/types/oid.ts";
import { codecOf } from "../../common/types/registry.ts";
import type { Datum } from "../../common/types/type.ts";
import { type BodyTable, ternary, unary } from "./body.ts";

const TYPES: readonly number[] = [Oid.bit, Oid.varbit, Oid.vector, Oid.halfvec, Oid.sparsevec];

export const typeTextFunctions: BodyTable = Object.assign(
  {},
  ...TYPES.map((oid): BodyTable => {
    const codec = codecOf(oid);
    return {
      [`${codec.name}_in`]: ternary<string, number, number>((text, _elementOid, typmod, call) =>
        codec.parse(text, typmod, call.context.types),
      ),
      [`${codec.name}_out`]: unary<Datum>((value, call) => codec.format(value, call.context.types)),
      [`${codec.name}_send`]: unary<Datum>((value) => codec.send(value)),
    };
  }),
);
