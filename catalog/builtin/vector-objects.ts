// pgvector's objects and ours as rows of the system tables, in the shape of the generated PostgreSQL data: the vector type,
// its operators, functions, casts and aggregates, the index methods hnsw, ivfflat and bm25, and the hybrid functions.
//
// They live in pg_catalog and exist in every database without CREATE EXTENSION vector, which succeeds all the same and
// records an extension: programs written for pgvector run it first, and nothing breaks for those that do not. Since
// pgvector installs into public by default, the look-ups also find these objects as public.vector and so on
// (see `isOwnObject`). Oids are fixed, in the range 8000-9999 that PostgreSQL leaves to developers and never ships with:
//   8000-8099 types   9000-9099 functions   9100-9199 operators   9200-9299 operator classes and families
//   9300-9399 access methods   9400-9499 amop and amproc   9500-9599 casts
import { Oid } from "../../common/types/oid.ts";
import type { OwnRow } from "./generated-table.ts";

const { vector: VECTOR, vectorArray: VECTOR_ARRAY, bm25query: BM25_QUERY, float8, int4, bool, text } = Oid;
const FLOAT4_ARRAY = 1021;
const FLOAT8_ARRAY = 1022;
const INT4_ARRAY = 1007;
const NUMERIC_ARRAY = 1231;
const CSTRING_ARRAY = 1263;
const INDEX_AM_HANDLER = 325;
const LANGUAGE_C = 13;
const FLOAT_OPS_FAMILY = 1970;

export const AccessMethodOid = { hnsw: 9300, ivfflat: 9301, bm25: 9302 } as const;

/** An object of the product's own range, found under public as well as under pg_catalog. */
export function isOwnObject(oid: number): boolean {
  return oid >= 8000 && oid <= 9999;
}

let nextFunction = 9000;
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

const pair = [VECTOR, VECTOR];
const aggregate = { prokind: "a", proisstrict: false, prolang: 12 };

export const OWN_FUNCTIONS: readonly OwnRow[] = [
  fn("vector_in", [Oid.cstring, Oid.oid, int4], VECTOR),
  fn("vector_out", [VECTOR], Oid.cstring),
  fn("vector_typmod_in", [CSTRING_ARRAY], int4),
  fn("vector_recv", [Oid.internal, Oid.oid, int4], VECTOR),
  fn("vector_send", [VECTOR], Oid.bytea),
  fn("l2_distance", pair, float8),
  fn("inner_product", pair, float8),
  fn("cosine_distance", pair, float8),
  fn("l1_distance", pair, float8),
  fn("vector_dims", [VECTOR], int4),
  fn("vector_norm", [VECTOR], float8),
  fn("l2_norm", [VECTOR], float8, "vector_norm"),
  fn("l2_normalize", [VECTOR], VECTOR),
  fn("binary_quantize", [VECTOR], 1560),
  fn("subvector", [VECTOR, int4, int4], VECTOR),
  fn("vector_add", pair, VECTOR),
  fn("vector_sub", pair, VECTOR),
  fn("vector_mul", pair, VECTOR),
  fn("vector_concat", pair, VECTOR),
  fn("vector_lt", pair, bool),
  fn("vector_le", pair, bool),
  fn("vector_eq", pair, bool),
  fn("vector_ne", pair, bool),
  fn("vector_ge", pair, bool),
  fn("vector_gt", pair, bool),
  fn("vector_cmp", pair, int4),
  fn("vector_l2_squared_distance", pair, float8),
  fn("vector_negative_inner_product", pair, float8),
  fn("vector_spherical_distance", pair, float8),
  fn("vector_accum", [FLOAT8_ARRAY, VECTOR], FLOAT8_ARRAY),
  fn("vector_avg", [FLOAT8_ARRAY], VECTOR),
  fn("vector_combine", [FLOAT8_ARRAY, FLOAT8_ARRAY], FLOAT8_ARRAY),
  fn("avg", [VECTOR], VECTOR, "aggregate_dummy", aggregate),
  fn("sum", [VECTOR], VECTOR, "aggregate_dummy", aggregate),
  fn("vector", [VECTOR, int4, bool], VECTOR),
  fn("array_to_vector", [INT4_ARRAY, int4, bool], VECTOR),
  fn("array_to_vector", [FLOAT4_ARRAY, int4, bool], VECTOR),
  fn("array_to_vector", [FLOAT8_ARRAY, int4, bool], VECTOR),
  fn("array_to_vector", [NUMERIC_ARRAY, int4, bool], VECTOR),
  fn("vector_to_float4", [VECTOR, int4, bool], FLOAT4_ARRAY),
  fn("hnswhandler", [Oid.internal], INDEX_AM_HANDLER, "hnswhandler", {
    provolatile: "v",
    proisstrict: false,
  }),
  fn("ivfflathandler", [Oid.internal], INDEX_AM_HANDLER, "ivfflathandler", {
    provolatile: "v",
    proisstrict: false,
  }),
  fn("bm25handler", [Oid.internal], INDEX_AM_HANDLER, "bm25handler", {
    provolatile: "v",
    proisstrict: false,
  }),
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
  fn("bm25query_in", [Oid.cstring], BM25_QUERY),
  fn("bm25query_out", [BM25_QUERY], Oid.cstring),
  fn("to_bm25query", [text], BM25_QUERY, "to_bm25query"),
  fn("to_bm25query", [text, text], BM25_QUERY, "to_bm25query_index"),
  fn("bm25_score", [text, BM25_QUERY], float8, "bm25_score", { provolatile: "s" }),
];

function functionOid(name: string, args: readonly number[]): number {
  const oid = functionOids.get(`${name}(${args.join(",")})`);
  if (oid === undefined) throw new Error(`no function ${name}(${args.join(",")}) among the own functions`);
  return oid;
}

export const OWN_TYPES: readonly OwnRow[] = [
  {
    oid: VECTOR,
    typname: "vector",
    typcategory: "U",
    typsubscript: 0,
    typelem: 0,
    typarray: VECTOR_ARRAY,
    typinput: functionOid("vector_in", [Oid.cstring, Oid.oid, int4]),
    typoutput: functionOid("vector_out", [VECTOR]),
    typreceive: functionOid("vector_recv", [Oid.internal, Oid.oid, int4]),
    typsend: functionOid("vector_send", [VECTOR]),
    typmodin: functionOid("vector_typmod_in", [CSTRING_ARRAY]),
    typalign: "i",
    typstorage: "e",
  },
  {
    oid: VECTOR_ARRAY,
    typname: "_vector",
    typcategory: "A",
    typsubscript: 6179,
    typelem: VECTOR,
    typarray: 0,
    typmodin: functionOid("vector_typmod_in", [CSTRING_ARRAY]),
    typanalyze: 3816,
    typalign: "i",
  },
  {
    oid: BM25_QUERY,
    typname: "bm25query",
    typcategory: "U",
    typsubscript: 0,
    typelem: 0,
    typarray: 0,
    typinput: functionOid("bm25query_in", [Oid.cstring]),
    typoutput: functionOid("bm25query_out", [BM25_QUERY]),
    typalign: "i",
    typstorage: "x",
  },
];

const operatorOids = new Map<string, number>(
  ["<->", "<#>", "<=>", "<+>", "+", "-", "*", "||", "<", "<=", "=", "<>", ">=", ">"].map((name, i) => [
    name,
    9100 + i,
  ]),
);

function operator(
  name: string,
  functionName: string,
  result: number,
  commutator: string,
  negator: string,
): OwnRow {
  return {
    oid: operatorOids.get(name) ?? 0,
    oprname: name,
    oprleft: VECTOR,
    oprright: VECTOR,
    oprresult: result,
    oprcom: operatorOids.get(commutator) ?? 0,
    oprnegate: operatorOids.get(negator) ?? 0,
    oprcode: functionOid(functionName, pair),
    oprrest: 0,
    oprjoin: 0,
  };
}

const TEXT_SCORE_OPERATOR = 9114;
const NAMED_TEXT_SCORE_OPERATOR = 9115;

export const OWN_OPERATORS: readonly OwnRow[] = [
  operator("<->", "l2_distance", float8, "<->", ""),
  operator("<#>", "vector_negative_inner_product", float8, "<#>", ""),
  operator("<=>", "cosine_distance", float8, "<=>", ""),
  operator("<+>", "l1_distance", float8, "<+>", ""),
  operator("+", "vector_add", VECTOR, "+", ""),
  operator("-", "vector_sub", VECTOR, "", ""),
  operator("*", "vector_mul", VECTOR, "*", ""),
  operator("||", "vector_concat", VECTOR, "", ""),
  operator("<", "vector_lt", bool, ">", ">="),
  operator("<=", "vector_le", bool, ">=", ">"),
  operator("=", "vector_eq", bool, "=", "<>"),
  operator("<>", "vector_ne", bool, "<>", "="),
  operator(">=", "vector_ge", bool, "<=", "<"),
  operator(">", "vector_gt", bool, "<", "<="),
  {
    oid: TEXT_SCORE_OPERATOR,
    oprname: "<@>",
    oprleft: text,
    oprright: text,
    oprresult: float8,
    oprcom: 0,
    oprnegate: 0,
    oprcode: functionOid("bm25_score", [text, text]),
    oprrest: 0,
    oprjoin: 0,
  },
  {
    oid: NAMED_TEXT_SCORE_OPERATOR,
    oprname: "<@>",
    oprleft: text,
    oprright: BM25_QUERY,
    oprresult: float8,
    oprcom: 0,
    oprnegate: 0,
    oprcode: functionOid("bm25_score", [text, BM25_QUERY]),
    oprrest: 0,
    oprjoin: 0,
  },
];

export const OWN_CASTS: readonly OwnRow[] = [
  {
    oid: 9500,
    castsource: VECTOR,
    casttarget: VECTOR,
    castfunc: functionOid("vector", [VECTOR, int4, bool]),
    castcontext: "i",
    castmethod: "f",
  },
  {
    oid: 9501,
    castsource: VECTOR,
    casttarget: FLOAT4_ARRAY,
    castfunc: functionOid("vector_to_float4", [VECTOR, int4, bool]),
    castcontext: "i",
    castmethod: "f",
  },
  ...[INT4_ARRAY, FLOAT4_ARRAY, FLOAT8_ARRAY, NUMERIC_ARRAY].map((source, i) => ({
    oid: 9502 + i,
    castsource: source,
    casttarget: VECTOR,
    castfunc: functionOid("array_to_vector", [source, int4, bool]),
    castcontext: "a",
    castmethod: "f",
  })),
];

export const OWN_AGGREGATES: readonly OwnRow[] = [
  {
    aggfnoid: functionOid("avg", [VECTOR]),
    aggtransfn: functionOid("vector_accum", [FLOAT8_ARRAY, VECTOR]),
    aggfinalfn: functionOid("vector_avg", [FLOAT8_ARRAY]),
    aggcombinefn: functionOid("vector_combine", [FLOAT8_ARRAY, FLOAT8_ARRAY]),
    aggtranstype: FLOAT8_ARRAY,
    agginitval: "{0}",
  },
  {
    aggfnoid: functionOid("sum", [VECTOR]),
    aggtransfn: functionOid("vector_add", pair),
    aggcombinefn: functionOid("vector_add", pair),
    aggtranstype: VECTOR,
  },
];

export const OWN_ACCESS_METHODS: readonly OwnRow[] = [
  {
    oid: AccessMethodOid.hnsw,
    amname: "hnsw",
    amhandler: functionOid("hnswhandler", [Oid.internal]),
    amtype: "i",
  },
  {
    oid: AccessMethodOid.ivfflat,
    amname: "ivfflat",
    amhandler: functionOid("ivfflathandler", [Oid.internal]),
    amtype: "i",
  },
  {
    oid: AccessMethodOid.bm25,
    amname: "bm25",
    amhandler: functionOid("bm25handler", [Oid.internal]),
    amtype: "i",
  },
];

/** [access method, class name, default?, type, [strategy, operator oid] ..., support functions [number, oid] ...] */
interface OwnClass {
  readonly method: number;
  readonly name: string;
  readonly isDefault: boolean;
  readonly type: number;
  readonly operators: readonly (readonly [number, number])[];
  readonly support: readonly (readonly [number, number])[];
}

const named = (name: string): number => operatorOids.get(name) ?? 0;
const distance = (name: string): number => functionOid(name, pair);
const norm = functionOid("vector_norm", [VECTOR]);
const negativeInner = distance("vector_negative_inner_product");
const spherical = distance("vector_spherical_distance");
const { hnsw, ivfflat, bm25 } = AccessMethodOid;

const CLASSES: readonly OwnClass[] = [
  {
    method: 403,
    name: "vector_ops",
    isDefault: true,
    type: VECTOR,
    operators: [
      [1, named("<")],
      [2, named("<=")],
      [3, named("=")],
      [4, named(">=")],
      [5, named(">")],
    ],
    support: [[1, distance("vector_cmp")]],
  },
  {
    method: hnsw,
    name: "vector_l2_ops",
    isDefault: false,
    type: VECTOR,
    operators: [[1, named("<->")]],
    support: [[1, distance("vector_l2_squared_distance")]],
  },
  {
    method: hnsw,
    name: "vector_ip_ops",
    isDefault: false,
    type: VECTOR,
    operators: [[1, named("<#>")]],
    support: [[1, negativeInner]],
  },
  {
    method: hnsw,
    name: "vector_cosine_ops",
    isDefault: false,
    type: VECTOR,
    operators: [[1, named("<=>")]],
    support: [
      [1, negativeInner],
      [2, norm],
    ],
  },
  {
    method: hnsw,
    name: "vector_l1_ops",
    isDefault: false,
    type: VECTOR,
    operators: [[1, named("<+>")]],
    support: [[1, distance("l1_distance")]],
  },
  {
    method: ivfflat,
    name: "vector_l2_ops",
    isDefault: true,
    type: VECTOR,
    operators: [[1, named("<->")]],
    support: [
      [1, distance("vector_l2_squared_distance")],
      [3, distance("l2_distance")],
    ],
  },
  {
    method: ivfflat,
    name: "vector_ip_ops",
    isDefault: false,
    type: VECTOR,
    operators: [[1, named("<#>")]],
    support: [
      [1, negativeInner],
      [3, spherical],
      [4, norm],
    ],
  },
  {
    method: ivfflat,
    name: "vector_cosine_ops",
    isDefault: false,
    type: VECTOR,
    operators: [[1, named("<=>")]],
    support: [
      [1, negativeInner],
      [2, norm],
      [3, spherical],
      [4, norm],
    ],
  },
  {
    method: bm25,
    name: "text_bm25_ops",
    isDefault: true,
    type: text,
    operators: [[1, TEXT_SCORE_OPERATOR]],
    support: [],
  },
];

// One family a class, with the class's name, as CREATE OPERATOR CLASS makes when no family is named.
const classOid = (i: number): number => 9200 + i;
const familyOid = (i: number): number => 9250 + i;

export const OWN_OPERATOR_FAMILIES: readonly OwnRow[] = CLASSES.map((c, i) => ({
  oid: familyOid(i),
  opfmethod: c.method,
  opfname: c.name,
}));

export const OWN_OPERATOR_CLASSES: readonly OwnRow[] = CLASSES.map((c, i) => ({
  oid: classOid(i),
  opcmethod: c.method,
  opcname: c.name,
  opcfamily: familyOid(i),
  opcintype: c.type,
  opcdefault: c.isDefault,
  opckeytype: 0,
}));

export const OWN_OPERATOR_MEMBERS: readonly OwnRow[] = CLASSES.flatMap((c, i) =>
  c.operators.map(([strategy, oid]) => ({
    amopfamily: familyOid(i),
    amoplefttype: c.type,
    amoprighttype: c.type,
    amopstrategy: strategy,
    amoppurpose: c.method === 403 ? "s" : "o",
    amopopr: oid,
    amopmethod: c.method,
    amopsortfamily: c.method === 403 ? 0 : FLOAT_OPS_FAMILY,
  })),
).map((row, i) => ({ oid: 9400 + i, ...row }));

export const OWN_SUPPORT_FUNCTIONS: readonly OwnRow[] = CLASSES.flatMap((c, i) =>
  c.support.map(([number, oid]) => ({
    amprocfamily: familyOid(i),
    amproclefttype: c.type,
    amprocrighttype: c.type,
    amprocnum: number,
    amproc: oid,
  })),
).map((row, i) => ({ oid: 9450 + i, ...row }));

/** COMMENT ON texts of the above. */
export const OWN_DESCRIPTIONS: readonly OwnRow[] = [
  { objoid: AccessMethodOid.hnsw, classoid: 2601, objsubid: 0, description: "hnsw index access method" },
  {
    objoid: AccessMethodOid.ivfflat,
    classoid: 2601,
    objsubid: 0,
    description: "ivfflat index access method",
  },
  { objoid: AccessMethodOid.bm25, classoid: 2601, objsubid: 0, description: "bm25 index access method" },
];
