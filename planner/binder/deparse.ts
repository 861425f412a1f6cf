// Bound expression -> SQL text as PostgreSQL's pg_get_expr prints it: every operator in brackets, every literal with its
// type where the type would not be guessed, implicit casts shown where PostgreSQL shows them. What is printed parses and
// binds to the same expression again. EXPLAIN prints its conditions with it, too.
//
// Follows the printing rules of PostgreSQL's ruleutils.c: `showImplicit` says whether an inserted cast is visible in a place.
import { unreachable } from "../../common/assert.ts";
import { quoteIdentifier } from "../../common/identifier.ts";
import { Oid, elementOidOf } from "../../common/types/oid.ts";
import { codecOf, lookupCodec } from "../../common/types/registry.ts";
import type { SqlType, TypeContext } from "../../common/types/type.ts";
import type { TypeEntry } from "../../catalog/catalog.ts";
import type {
  AggregateCall,
  BoundExpression,
  CallExpression,
  ConstantExpression,
  SortKey,
  SubqueryExpression,
} from "../logical/expression.ts";
import { typeNameWithModifier, type TypeLookup } from "./types.ts";

export interface DeparseOptions {
  /** Text of a column or outer reference. */
  readonly column: (e: Extract<BoundExpression, { kind: "column" | "outer" }>) => string;
  readonly subquery: (e: SubqueryExpression) => string;
  readonly types: TypeContext;
}

/** Settings of stored texts: independent of the session. */
const STORED: TypeContext = {
  dateStyle: { format: "ISO", order: "MDY" },
  intervalStyle: "postgres",
  timeZone: "UTC",
  extraFloatDigits: 1,
  byteaOutput: "hex",
  now: () => 0,
};

/** For DEFAULT, CHECK and generated columns: columns are positions in `columnNames`. */
export function deparseExpression(
  e: BoundExpression,
  columnNames: readonly string[],
  types: TypeContext = STORED,
): string {
  return deparse(e, {
    column: (column) =>
      quoteIdentifier(column.kind === "column" ? (columnNames[column.index] ?? column.name) : column.name),
    subquery: () => "(SELECT ...)",
    types,
  });
}

export function deparse(e: BoundExpression, options: DeparseOptions): string {
  return print(e, options, false);
}

/** The few facts about types that printing needs, from the codecs: no catalogue is at hand where texts are printed. */
const TYPES: TypeLookup = {
  typeByOid: (oid) => {
    const codec = lookupCodec(oid);
    if (codec === undefined) return undefined;
    const element = elementOidOf(oid) ?? 0;
    const entry: TypeEntry = {
      oid,
      name: codec.name,
      namespace: 11,
      length: element === 0 ? 0 : -1,
      byValue: false,
      kind: "b",
      category: element !== 0 && codec.name.startsWith("_") ? "A" : "U",
      isPreferred: false,
      delimiter: ",",
      relationOid: 0,
      elementOid: codec.name.startsWith("_") ? element : 0,
      arrayOid: 0,
      collation: 0,
    };
    return entry;
  },
};

function nameOfType(type: SqlType): string {
  return typeNameWithModifier(TYPES, type);
}

function print(e: BoundExpression, o: DeparseOptions, showImplicit: boolean): string {
  const list = (items: readonly BoundExpression[]): string =>
    items.map((item) => print(item, o, true)).join(", ");
  switch (e.kind) {
    case "constant":
      return printConstant(e, o, false);
    case "parameter":
      return `$${e.index + 1}`;
    case "column":
    case "outer":
      return o.column(e);
    case "call":
      return printCall(e, o, showImplicit);
    case "relabel":
    case "io-cast":
    case "array-cast":
      return e.cast === "implicit" && !showImplicit
        ? print(e.input, o, false)
        : printCast(e.input, e.type, o);
    case "and":
    case "or":
      return `(${e.args.map((arg) => print(arg, o, false)).join(e.kind === "and" ? " AND " : " OR ")})`;
    case "not":
      return `(NOT ${print(e.input, o, false)})`;
    case "is-null":
    case "is-not-null":
      return `(${print(e.input, o, true)} IS ${e.kind === "is-null" ? "NULL" : "NOT NULL"})`;
    case "boolean-test":
      return `(${print(e.input, o, false)} ${e.test.replaceAll("-", " ").toUpperCase()})`;
    case "distinct": {
      const text = `(${print(e.left, o, true)} IS DISTINCT FROM ${print(e.right, o, true)})`;
      return e.negated ? `(NOT ${text})` : text;
    }
    case "case":
      return printCase(e, o);
    case "coalesce":
      return `COALESCE(${list(e.args)})`;
    case "greatest":
    case "least":
      return `${e.kind.toUpperCase()}(${list(e.args)})`;
    case "nullif":
      return `NULLIF(${list([e.left, e.right])})`;
    case "array":
      return e.elements.length === 0 ? `ARRAY[]::${nameOfType(e.type)}` : `ARRAY[${list(e.elements)}]`;
    case "row":
      return `ROW(${list(e.fields)})`;
    case "field":
      return `(${print(e.input, o, true)}).${quoteIdentifier(e.name)}`;
    case "subscript":
      return printSubscript(e, o);
    case "scalar-array":
      return `(${print(e.left, o, true)} ${e.operator} ${e.quantifier.toUpperCase()} (${print(e.right, o, true)}))`;
    case "row-compare":
      return `(ROW(${list(e.left)}) ${e.operator} ROW(${list(e.right)}))`;
    case "subquery":
      return o.subquery(e);
    case "text-score":
      return `(${print(e.text, o, false)} <@> ${printTextQuery(e, o)})`;
    case "hybrid-rrf":
      return printHybrid(e, o);
    default:
      return unreachable(e);
  }
}

/** `bare`: without the type label, under a cast that says it anyway. */
function printConstant(e: ConstantExpression, o: DeparseOptions, bare: boolean): string {
  if (e.value === null) return bare ? "NULL" : `NULL::${nameOfType(e.type)}`;
  const text = codecOf(e.type.oid).format(e.value, o.types);
  const quoted = `'${text.replaceAll("'", "''")}'`;
  // Backslashes need the E'' form, as PostgreSQL's simple_quote_literal writes them.
  const literal = quoted.includes("\\") ? `E${quoted.replaceAll("\\", "\\\\")}` : quoted;
  switch (e.type.oid) {
    case Oid.bool:
      return text === "t" || text === "true" ? "true" : "false";
    case Oid.unknown:
      return literal;
    case Oid.int4:
      if (!text.startsWith("-")) return text;
      break;
    case Oid.numeric:
      if (/^\d/.test(text) && /[eE.]/.test(text) && (bare || e.type.typmod < 0)) return text;
      break;
    default:
      break;
  }
  return bare ? literal : `${literal}::${nameOfType(e.type)}`;
}

function printCast(input: BoundExpression, type: SqlType, o: DeparseOptions): string {
  // A literal under its own type's length cast shows one label only.
  if (input.kind === "constant" && input.type.oid === type.oid && input.type.typmod < 0) {
    return `${printConstant(input, o, true)}::${nameOfType(type)}`;
  }
  return `(${print(input, o, false)})::${nameOfType(type)}`;
}

/** Functions that SQL writes without brackets; sql-functions.ts marks their calls by these names. */
const BARE_FUNCTIONS: ReadonlySet<string> = new Set([
  "CURRENT_DATE",
  "CURRENT_TIME",
  "CURRENT_TIMESTAMP",
  "LOCALTIME",
  "LOCALTIMESTAMP",
  "CURRENT_USER",
  "CURRENT_ROLE",
  "USER",
  "SESSION_USER",
  "CURRENT_CATALOG",
  "CURRENT_SCHEMA",
]);

function printCall(e: CallExpression, o: DeparseOptions, showImplicit: boolean): string {
  const [first, second] = e.args;
  if (e.cast !== undefined && first !== undefined) {
    if (first.kind === "call" && BARE_FUNCTIONS.has(first.function.name)) return first.function.name;
    return e.cast === "implicit" && !showImplicit ? print(first, o, false) : printCast(first, e.type, o);
  }
  if (BARE_FUNCTIONS.has(e.function.name)) return e.function.name;
  if (e.operator !== undefined && first !== undefined) {
    return second === undefined
      ? `(${e.operator} ${print(first, o, true)})`
      : `(${print(first, o, true)} ${e.operator} ${print(second, o, true)})`;
  }
  const field = e.function.name === "extract" && first?.kind === "constant" ? first.value : undefined;
  if (typeof field === "string" && second !== undefined) {
    return `EXTRACT(${field} FROM ${print(second, o, true)})`;
  }
  return `${quoteIdentifier(e.function.name)}(${e.args.map((arg) => print(arg, o, true)).join(", ")})`;
}

function printCase(e: Extract<BoundExpression, { kind: "case" }>, o: DeparseOptions): string {
  const whens = e.whens.map(
    (when) => `    WHEN ${print(when.condition, o, false)} THEN ${print(when.result, o, true)}`,
  );
  const otherwise = e.otherwise === undefined ? `NULL::${nameOfType(e.type)}` : print(e.otherwise, o, true);
  // PostgreSQL breaks these lines even where it indents nothing else.
  return `\nCASE\n${whens.join("\n")}\n    ELSE ${otherwise}\nEND`;
}

function printSubscript(e: Extract<BoundExpression, { kind: "subscript" }>, o: DeparseOptions): string {
  const needsBrackets = e.input.kind !== "column" && e.input.kind !== "outer" && e.input.kind !== "parameter";
  const base = print(e.input, o, true);
  const bound = (x: BoundExpression | undefined): string => (x === undefined ? "" : print(x, o, false));
  const subscripts = e.subscripts.map((s) =>
    s.isSlice ? `[${bound(s.lower)}:${bound(s.upper)}]` : `[${bound(s.upper)}]`,
  );
  return `${needsBrackets ? `(${base})` : base}${subscripts.join("")}`;
}

function printTextQuery(e: Extract<BoundExpression, { kind: "text-score" }>, o: DeparseOptions): string {
  const query = print(e.query, o, true);
  return e.namesIndex
    ? `to_bm25query(${query}, '${quoteIdentifier(e.indexName).replaceAll("'", "''")}'::text)`
    : query;
}

function printHybrid(e: Extract<BoundExpression, { kind: "hybrid-rrf" }>, o: DeparseOptions): string {
  const named = (name: string, value: BoundExpression | undefined): readonly string[] =>
    value === undefined ? [] : [`${name} => ${print(value, o, true)}`];
  const parts = [
    ...e.branches.map((branch) => print(branch, o, true)),
    ...named("weights", e.weights),
    ...named("k", e.k),
    ...named("candidates", e.candidates),
  ];
  return `hybrid_rrf(${parts.join(", ")})`;
}

/** count(DISTINCT a ORDER BY b) FILTER (WHERE c) */
export function deparseAggregate(call: AggregateCall, o: DeparseOptions): string {
  const args = call.args.length === 0 ? "*" : call.args.map((arg) => print(arg, o, true)).join(", ");
  const order =
    call.orderBy.length === 0
      ? ""
      : ` ORDER BY ${call.orderBy.map((key) => deparseSortKey(key, o)).join(", ")}`;
  const filter = call.filter === undefined ? "" : ` FILTER (WHERE ${print(call.filter, o, false)})`;
  return `${quoteIdentifier(call.function.name)}(${call.isDistinct ? "DISTINCT " : ""}${args}${order})${filter}`;
}

/** "a DESC NULLS LAST", the defaults left out. */
export function deparseSortKey(key: SortKey, o: DeparseOptions): string {
  const direction = key.descending ? " DESC" : "";
  const nulls = key.nullsFirst === key.descending ? "" : key.nullsFirst ? " NULLS FIRST" : " NULLS LAST";
  return `${print(key.expression, o, false)}${direction}${nulls}`;
}
