// The product's own rows of pg_type and pg_cast: pgvector's three types with their arrays, and bm25query (own-objects.ts).
import { Oid } from "../../common/types/oid.ts";
import type { OwnRow } from "./generated-table.ts";
import { CSTRING_ARRAY, FLOAT4_ARRAY, functionOid, NUMBER_ARRAYS } from "./own-functions.ts";

const { vector, halfvec, sparsevec, bm25query, int4, bool, cstring, internal } = Oid;
const ARRAY_SUBSCRIPT_HANDLER = 6179;
const ARRAY_TYPANALYZE = 3816;

/** A type and the type of its arrays. */
function typeWithArray(name: string, oid: number, arrayOid: number): OwnRow[] {
  const typmodin = functionOid(`${name}_typmod_in`, [CSTRING_ARRAY]);
  return [
    {
      oid,
      typname: name,
      typcategory: "U",
      typsubscript: 0,
      typelem: 0,
      typarray: arrayOid,
      typinput: functionOid(`${name}_in`, [cstring, Oid.oid, int4]),
      typoutput: functionOid(`${name}_out`, [oid]),
      typreceive: functionOid(`${name}_recv`, [internal, Oid.oid, int4]),
      typsend: functionOid(`${name}_send`, [oid]),
      typmodin,
      typalign: "i",
      typstorage: "e",
    },
    {
      oid: arrayOid,
      typname: `_${name}`,
      typcategory: "A",
      typsubscript: ARRAY_SUBSCRIPT_HANDLER,
      typelem: oid,
      typarray: 0,
      typmodin,
      typanalyze: ARRAY_TYPANALYZE,
      typalign: "i",
    },
  ];
}

export const OWN_TYPES: readonly OwnRow[] = [
  ...typeWithArray("vector", vector, Oid.vectorArray),
  ...typeWithArray("halfvec", halfvec, Oid.halfvecArray),
  ...typeWithArray("sparsevec", sparsevec, Oid.sparsevecArray),
  {
    oid: bm25query,
    typname: "bm25query",
    typcategory: "U",
    typsubscript: 0,
    typelem: 0,
    typarray: 0,
    typinput: functionOid("bm25query_in", [cstring]),
    typoutput: functionOid("bm25query_out", [bm25query]),
    typalign: "i",
    typstorage: "x",
  },
];

/** From, to, function, context: i implicit, a on assignment. */
type Cast = readonly [source: number, target: number, name: string, context: "i" | "a"];

// A narrower type takes a wider one implicitly, so that a halfvec index answers queries with vectors; back on assignment only.
const CASTS: readonly Cast[] = [
  [vector, vector, "vector", "i"],
  [vector, FLOAT4_ARRAY, "vector_to_float4", "i"],
  [halfvec, halfvec, "halfvec", "i"],
  [vector, halfvec, "vector_to_halfvec", "i"],
  [halfvec, vector, "halfvec_to_vector", "a"],
  [halfvec, FLOAT4_ARRAY, "halfvec_to_float4", "a"],
  [sparsevec, sparsevec, "sparsevec", "i"],
  [vector, sparsevec, "vector_to_sparsevec", "i"],
  [sparsevec, vector, "sparsevec_to_vector", "a"],
  [halfvec, sparsevec, "halfvec_to_sparsevec", "i"],
  [sparsevec, halfvec, "sparsevec_to_halfvec", "a"],
  ...NUMBER_ARRAYS.flatMap((array): Cast[] => [
    [array, vector, "array_to_vector", "a"],
    [array, halfvec, "array_to_halfvec", "a"],
    [array, sparsevec, "array_to_sparsevec", "a"],
  ]),
];

export const OWN_CASTS: readonly OwnRow[] = CASTS.map(([source, target, name, context], i) => ({
  oid: 9500 + i,
  castsource: source,
  casttarget: target,
  castfunc: functionOid(name, [source, int4, bool]),
  castcontext: context,
  castmethod: "f",
}));
