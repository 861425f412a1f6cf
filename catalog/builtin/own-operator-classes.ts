// The product's own index methods (hnsw and ivfflat are pgvector's, bm25 is ours) and the operator classes of its types:
// rows of pg_am, pg_opclass, pg_opfamily, pg_amop and pg_amproc (own-objects.ts).
import { Oid } from "../../common/types/oid.ts";
import type { OwnRow } from "./generated-table.ts";
import { functionOid } from "./own-functions.ts";
import { operatorOid } from "./own-operators.ts";

const { vector, halfvec, sparsevec, bit, text, internal } = Oid;
const BTREE = 403;
const FLOAT_OPS_FAMILY = 1970;
const ACCESS_METHOD_CLASS = 2601;

export const AccessMethodOid = { hnsw: 9300, ivfflat: 9301, bm25: 9302 } as const;
const { hnsw, ivfflat, bm25 } = AccessMethodOid;

export const OWN_ACCESS_METHODS: readonly OwnRow[] = Object.entries(AccessMethodOid).map(([name, oid]) => ({
  oid,
  amname: name,
  amhandler: functionOid(`${name}handler`, [internal]),
  amtype: "i",
}));

/** COMMENT ON texts. */
export const OWN_DESCRIPTIONS: readonly OwnRow[] = Object.entries(AccessMethodOid).map(([name, oid]) => ({
  objoid: oid,
  classoid: ACCESS_METHOD_CLASS,
  objsubid: 0,
  description: `${name} index access method`,
}));

interface OwnClass {
  readonly method: number;
  readonly name: string;
  readonly isDefault: boolean;
  readonly type: number;
  /** [strategy, operator oid] */
  readonly operators: readonly (readonly [number, number])[];
  /** [number, function oid] */
  readonly support: readonly (readonly [number, number])[];
}

function btreeClass(typeName: string, type: number): OwnClass {
  return {
    method: BTREE,
    name: `${typeName}_ops`,
    isDefault: true,
    type,
    operators: ["<", "<=", "=", ">=", ">"].map((name, i) => [i + 1, operatorOid(name, type, type)] as const),
    support: [[1, functionOid(`${typeName}_cmp`, [type, type])]],
  };
}

/** Distances, and what the index computes for them: the function it compares by, and whether it normalises. */
const METRICS = {
  l2: { operator: "<->", compare: "l2_squared_distance", isNormalised: false },
  ip: { operator: "<#>", compare: "negative_inner_product", isNormalised: false },
  cosine: { operator: "<=>", compare: "negative_inner_product", isNormalised: true },
  l1: { operator: "<+>", compare: "l1_distance", isNormalised: false },
} as const;

type MetricName = keyof typeof METRICS;

function normOid(type: number): number {
  return functionOid(type === vector ? "vector_norm" : "l2_norm", [type]);
}

function hnswClass(typeName: string, type: number, metric: MetricName): OwnClass {
  const { operator, compare, isNormalised } = METRICS[metric];
  const compareName = metric === "l1" ? compare : `${typeName}_${compare}`;
  const support: (readonly [number, number])[] = [[1, functionOid(compareName, [type, type])]];
  if (isNormalised) support.push([2, normOid(type)]);
  if (type !== vector) support.push([3, functionOid(`hnsw_${typeName}_support`, [internal])]);
  return {
    method: hnsw,
    name: `${typeName}_${metric}_ops`,
    isDefault: false,
    type,
    operators: [[1, operatorOid(operator, type, type)]],
    support,
  };
}

/** The k-means of ivfflat has its own distance (3) and normalises (4) where the angle counts. */
function ivfflatClass(typeName: string, type: number, metric: "l2" | "ip" | "cosine"): OwnClass {
  const { operator, compare, isNormalised } = METRICS[metric];
  const pair = [type, type];
  const support: (readonly [number, number])[] = [[1, functionOid(`${typeName}_${compare}`, pair)]];
  if (isNormalised) support.push([2, normOid(type)]);
  support.push([3, functionOid(metric === "l2" ? "l2_distance" : `${typeName}_spherical_distance`, pair)]);
  if (metric !== "l2") support.push([4, normOid(type)]);
  if (type !== vector) support.push([5, functionOid(`ivfflat_${typeName}_support`, [internal])]);
  return {
    method: ivfflat,
    name: `${typeName}_${metric}_ops`,
    isDefault: type === vector && metric === "l2",
    type,
    operators: [[1, operatorOid(operator, type, type)]],
    support,
  };
}

function bitClass(
  method: typeof hnsw | typeof ivfflat,
  metric: "hamming" | "jaccard",
  operator: string,
): OwnClass {
  const distance = functionOid(`${metric}_distance`, [bit, bit]);
  return {
    method,
    name: `bit_${metric}_ops`,
    isDefault: false,
    type: bit,
    operators: [[1, operatorOid(operator, bit, bit)]],
    support:
      method === hnsw
        ? [
            [1, distance],
            [3, functionOid("hnsw_bit_support", [internal])],
          ]
        : [
            [1, distance],
            [3, distance],
            [5, functionOid("ivfflat_bit_support", [internal])],
          ],
  };
}

// Index entries name a class by its oid, its place in this list: new ones go to the end.
const CLASSES: readonly OwnClass[] = [
  btreeClass("vector", vector),
  hnswClass("vector", vector, "l2"),
  hnswClass("vector", vector, "ip"),
  hnswClass("vector", vector, "cosine"),
  hnswClass("vector", vector, "l1"),
  ivfflatClass("vector", vector, "l2"),
  ivfflatClass("vector", vector, "ip"),
  ivfflatClass("vector", vector, "cosine"),
  {
    method: bm25,
    name: "text_bm25_ops",
    isDefault: true,
    type: text,
    operators: [[1, operatorOid("<@>", text, text)]],
    support: [],
  },
  btreeClass("halfvec", halfvec),
  hnswClass("halfvec", halfvec, "l2"),
  hnswClass("halfvec", halfvec, "ip"),
  hnswClass("halfvec", halfvec, "cosine"),
  hnswClass("halfvec", halfvec, "l1"),
  ivfflatClass("halfvec", halfvec, "l2"),
  ivfflatClass("halfvec", halfvec, "ip"),
  ivfflatClass("halfvec", halfvec, "cosine"),
  btreeClass("sparsevec", sparsevec),
  hnswClass("sparsevec", sparsevec, "l2"),
  hnswClass("sparsevec", sparsevec, "ip"),
  hnswClass("sparsevec", sparsevec, "cosine"),
  hnswClass("sparsevec", sparsevec, "l1"),
  bitClass(hnsw, "hamming", "<~>"),
  bitClass(hnsw, "jaccard", "<%>"),
  bitClass(ivfflat, "hamming", "<~>"),
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
    amoppurpose: c.method === BTREE ? "s" : "o",
    amopopr: oid,
    amopmethod: c.method,
    amopsortfamily: c.method === BTREE ? 0 : FLOAT_OPS_FAMILY,
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
).map((row, i) => ({ oid: 9600 + i, ...row }));
