// The product's own rows of pg_operator: pgvector's distances, arithmetic and comparisons, and BM25's <@> (own-objects.ts).
import { Oid } from "../../common/types/oid.ts";
import type { OwnRow } from "./generated-table.ts";
import { functionOid } from "./own-functions.ts";

const { vector, halfvec, sparsevec, bit, bool, float8, text, bm25query } = Oid;

interface Definition {
  readonly name: string;
  readonly left: number;
  readonly right: number;
  readonly result: number;
  readonly functionName: string;
  readonly commutator?: string;
  readonly negator?: string;
  /** Oids of the selectivity estimators, of a restriction and of a join. */
  readonly estimators?: readonly [number, number];
}

const EQUAL = [101, 105] as const;
const LESS = [103, 107] as const;
const LESS_EQUAL = [336, 386] as const;
const GREATER = [104, 108] as const;
const GREATER_EQUAL = [337, 398] as const;

/** <->, <#>, <=>, <+> and the six comparisons, which all of pgvector's types have. */
function commonOperators(typeName: string, type: number): Definition[] {
  const of = (name: string, functionName: string, more: Partial<Definition> = {}): Definition => ({
    name,
    left: type,
    right: type,
    result: float8,
    functionName,
    commutator: name,
    ...more,
  });
  const comparison = (
    name: string,
    suffix: string,
    commutator: string,
    negator: string,
    estimators: readonly [number, number],
  ): Definition => of(name, `${typeName}_${suffix}`, { result: bool, commutator, negator, estimators });
  return [
    of("<->", "l2_distance"),
    of("<#>", `${typeName}_negative_inner_product`),
    of("<=>", "cosine_distance"),
    of("<+>", "l1_distance"),
    comparison("<", "lt", ">", ">=", LESS),
    comparison("<=", "le", ">=", ">", LESS_EQUAL),
    comparison("=", "eq", "=", "<>", EQUAL),
    comparison("<>", "ne", "<>", "=", EQUAL),
    comparison(">=", "ge", "<=", "<", GREATER_EQUAL),
    comparison(">", "gt", "<", "<=", GREATER),
  ];
}

function arithmetic(typeName: string, type: number): Definition[] {
  const operand = { left: type, right: type, result: type };
  return [
    { ...operand, name: "+", functionName: `${typeName}_add`, commutator: "+" },
    { ...operand, name: "-", functionName: `${typeName}_sub` },
    { ...operand, name: "*", functionName: `${typeName}_mul`, commutator: "*" },
    { ...operand, name: "||", functionName: `${typeName}_concat` },
  ];
}

const ofBits = { left: bit, right: bit, result: float8 };
const ofText = { left: text, result: float8, functionName: "bm25_score" };

const DEFINITIONS: readonly Definition[] = [
  ...commonOperators("vector", vector),
  ...arithmetic("vector", vector),
  { ...ofText, name: "<@>", right: text },
  { ...ofText, name: "<@>", right: bm25query },
  ...commonOperators("halfvec", halfvec),
  ...arithmetic("halfvec", halfvec),
  ...commonOperators("sparsevec", sparsevec),
  { ...ofBits, name: "<~>", functionName: "hamming_distance", commutator: "<~>" },
  { ...ofBits, name: "<%>", functionName: "jaccard_distance", commutator: "<%>" },
];

const FIRST_OPERATOR = 9100;
const operatorOids = new Map(
  DEFINITIONS.map((d, i) => [`${d.name}(${d.left},${d.right})`, FIRST_OPERATOR + i]),
);

/** The oid of one of the operators; 0 = none, as the system tables write it. */
export function operatorOid(name: string | undefined, left: number, right: number): number {
  return operatorOids.get(`${name}(${left},${right})`) ?? 0;
}

export const OWN_OPERATORS: readonly OwnRow[] = DEFINITIONS.map((d, i) => ({
  oid: FIRST_OPERATOR + i,
  oprname: d.name,
  oprleft: d.left,
  oprright: d.right,
  oprresult: d.result,
  oprcom: operatorOid(d.commutator, d.right, d.left),
  oprnegate: operatorOid(d.negator, d.left, d.right),
  oprcode: functionOid(d.functionName, [d.left, d.right]),
  oprrest: d.estimators?.[0] ?? 0,
  oprjoin: d.estimators?.[1] ?? 0,
}));
