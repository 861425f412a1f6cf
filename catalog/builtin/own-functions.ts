// The product's own rows of pg_proc and pg_aggregate: pgvector's functions, and those of BM25 and rank fusion. own-objects.ts
// says why they are here and what oids they get. Bodies are found by prosrc, pgvector's C names (catalog/functions).
import { must } from "../../common/assert.ts";
import { Oid } from "../../common/types/oid.ts";
import type { OwnRow } from "./generated-table.ts";

const { vector, halfvec, sparsevec, bit, float8, int4, bool, text, bytea, cstring, internal } = Oid;
export const FLOAT4_ARRAY = 1021;
const FLOAT8_ARRAY = 1022;
const INT4_ARRAY = 1007;
const NUMERIC_ARRAY = 1231;
export const CSTRING_ARRAY = 1263;
const INDEX_AM_HANDLER = 325;
const LANGUAGE_C = 13;
const LANGUAGE_INTERNAL = 12;

/** Array types that have a cast to each of pgvector's types. */
export const NUMBER_ARRAYS: readonly number[] = [INT4_ARRAY, FLOAT4_ARRAY, FLOAT8_ARRAY, NUMERIC_ARRAY];

let nextFunction = 8200;
const functionOids = new Map<string, number>();

/** A strict immutable function, as all of pgvector's are unless `extra` says otherwise. */
function fn(
  name: string,
  args: readonly number[],
  result: number,
  source = name,
  extra: OwnRow = {},
): OwnRow {
  const oid = nextFunction++;
  functionOids.set(`${name}(${args.join(",")})`, oid);
  return {
    oid,
    proname: name,
    prolang: LANGUAGE_C,
    pronargs: args.length,
    proargtypes: args.length === 0 ? "" : args.join(" "),
    prorettype: result,
    prosrc: source,
    ...extra,
  };
}

/** The oid of one of the functions below. */
export function functionOid(name: string, args: readonly number[]): number {
  const signature = `${name}(${args.join(",")})`;
  return must(functionOids.get(signature), `${signature} among the own functions`);
}

const AGGREGATE = { prokind: "a", proisstrict: false, prolang: LANGUAGE_INTERNAL };
const HANDLER = { provolatile: "v", proisstrict: false, proparallel: "u" };

/** What every one of pgvector's types has: input and output, distances, the order, casts. `name` is the type's. */
function commonFunctions(name: string, type: number): OwnRow[] {
  const pair = [type, type];
  // The functions of vector that users call were first and are named plainly in C.
  const source = (plain: string): string => (type === vector ? plain : `${name}_${plain}`);
  return [
    fn(`${name}_in`, [cstring, Oid.oid, int4], type),
    fn(`${name}_out`, [type], cstring),
    fn(`${name}_typmod_in`, [CSTRING_ARRAY], int4),
    fn(`${name}_recv`, [internal, Oid.oid, int4], type),
    fn(`${name}_send`, [type], bytea),
    fn("l2_distance", pair, float8, source("l2_distance")),
    fn("inner_product", pair, float8, source("inner_product")),
    fn("cosine_distance", pair, float8, source("cosine_distance")),
    fn("l1_distance", pair, float8, source("l1_distance")),
    fn("l2_normalize", [type], type, source("l2_normalize")),
    ...["lt", "le", "eq", "ne", "ge", "gt"].map((operation) => fn(`${name}_${operation}`, pair, bool)),
    fn(`${name}_cmp`, pair, int4),
    fn(`${name}_l2_squared_distance`, pair, float8),
    fn(`${name}_negative_inner_product`, pair, float8),
    fn(name, [type, int4, bool], type),
    ...NUMBER_ARRAYS.map((array) => fn(`array_to_${name}`, [array, int4, bool], type)),
  ];
}

/** What the dense types have beyond that. */
function denseFunctions(name: string, type: number): OwnRow[] {
  const pair = [type, type];
  const source = (plain: string): string => (type === vector ? plain : `${name}_${plain}`);
  return [
    fn("vector_dims", [type], int4, source("vector_dims")),
    fn("binary_quantize", [type], bit, source("binary_quantize")),
    fn("subvector", [type, int4, int4], type, source("subvector")),
    ...["add", "sub", "mul", "concat"].map((operation) => fn(`${name}_${operation}`, pair, type)),
    fn(`${name}_spherical_distance`, pair, float8),
    fn(`${name}_accum`, [FLOAT8_ARRAY, type], FLOAT8_ARRAY),
    fn(`${name}_avg`, [FLOAT8_ARRAY], type),
    // One function for both in C.
    fn(`${name}_combine`, [FLOAT8_ARRAY, FLOAT8_ARRAY], FLOAT8_ARRAY, "vector_combine"),
    fn("avg", [type], type, "aggregate_dummy", AGGREGATE),
    fn("sum", [type], type, "aggregate_dummy", AGGREGATE),
    fn(`${name}_to_float4`, [type, int4, bool], FLOAT4_ARRAY),
  ];
}

export const OWN_FUNCTIONS: readonly OwnRow[] = [
  ...commonFunctions("vector", vector),
  ...denseFunctions("vector", vector),
  fn("vector_norm", [vector], float8),
  ...commonFunctions("halfvec", halfvec),
  ...denseFunctions("halfvec", halfvec),
  fn("l2_norm", [halfvec], float8, "halfvec_l2_norm"),
  ...commonFunctions("sparsevec", sparsevec),
  fn("l2_norm", [sparsevec], float8, "sparsevec_l2_norm"),
  fn("vector_to_halfvec", [vector, int4, bool], halfvec),
  fn("halfvec_to_vector", [halfvec, int4, bool], vector),
  fn("vector_to_sparsevec", [vector, int4, bool], sparsevec),
  fn("sparsevec_to_vector", [sparsevec, int4, bool], vector),
  fn("halfvec_to_sparsevec", [halfvec, int4, bool], sparsevec),
  fn("sparsevec_to_halfvec", [sparsevec, int4, bool], halfvec),
  fn("hamming_distance", [bit, bit], float8),
  fn("jaccard_distance", [bit, bit], float8),
  ...["hnsw", "ivfflat", "bm25"].map((method) =>
    fn(`${method}handler`, [internal], INDEX_AM_HANDLER, `${method}handler`, HANDLER),
  ),
  ...[
    "hnsw_halfvec_support",
    "hnsw_bit_support",
    "hnsw_sparsevec_support",
    "ivfflat_halfvec_support",
    "ivfflat_bit_support",
  ].map((name) => fn(name, [internal], internal, name, HANDLER)),
  // The negative BM25 score. The binder turns <@> into a text score over the column's bm25 index and never calls this; it
  // depends on the index's statistics, so it is stable and not immutable.
  fn("bm25_score", [text, text], float8, "bm25_score", { provolatile: "s" }),
  // Rank fusion. Bound by name: any number of branches, then weights, k and candidates by name. What stands here is what \df
  // and completion show.
  fn("hybrid_rrf", [float8, float8, FLOAT8_ARRAY, int4, int4], float8, "hybrid_rrf", {
    provolatile: "s",
    proisstrict: false,
    pronargdefaults: 3,
    proargnames: "{branch1,branch2,weights,k,candidates}",
    proargdefaults: '["NULL::double precision[]", "60", "NULL::integer"]',
  }),
  // pg_textsearch's way to name the index a text is scored by. The binder reads the arguments of the call itself.
  fn("bm25query_in", [cstring], Oid.bm25query),
  fn("bm25query_out", [Oid.bm25query], cstring),
  fn("to_bm25query", [text], Oid.bm25query, "to_bm25query"),
  fn("to_bm25query", [text, text], Oid.bm25query, "to_bm25query_index"),
  fn("bm25_score", [text, Oid.bm25query], float8, "bm25_score", { provolatile: "s" }),
  // Recall@10 of a vector index, measured on some of its own vectors.
  fn("vector_recall", [Oid.regclass, int4], float8, "vector_recall", {
    provolatile: "v",
    pronargdefaults: 1,
    proargnames: "{index,sample}",
    proargdefaults: '["100"]',
  }),
  // What `omendb backup` calls: a copy of the database in a new folder of the server; the commit number it is of.
  fn("database_backup", [text], Oid.int8, "database_backup", { provolatile: "v", proargnames: "{folder}" }),
];

export const OWN_AGGREGATES: readonly OwnRow[] = (
  [
    ["vector", vector],
    ["halfvec", halfvec],
  ] as const
).flatMap(([name, type]) => [
  {
    aggfnoid: functionOid("avg", [type]),
    aggtransfn: functionOid(`${name}_accum`, [FLOAT8_ARRAY, type]),
    aggfinalfn: functionOid(`${name}_avg`, [FLOAT8_ARRAY]),
    aggcombinefn: functionOid(`${name}_combine`, [FLOAT8_ARRAY, FLOAT8_ARRAY]),
    aggtranstype: FLOAT8_ARRAY,
    agginitval: "{0}",
  },
  {
    aggfnoid: functionOid("sum", [type]),
    aggtransfn: functionOid(`${name}_add`, [type, type]),
    aggcombinefn: functionOid(`${name}_add`, [type, type]),
    aggtranstype: type,
  },
]);
