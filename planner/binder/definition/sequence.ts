// Sequence options with PostgreSQL's defaults, limits and error texts.
import { notSupported, SqlError, SqlState } from "../../../common/error.ts";
import { Oid } from "../../../common/types/oid.ts";
import { type CreateSeqStmt, type DefElem, type Node, positionOf, stringsOf } from "../../../parser/tree.ts";
import type { CreateSequencePlan, SequenceDefinition } from "../../physical/definition.ts";
import { creationSchema, type DefinitionBindContext } from "./context.ts";

const RANGES: ReadonlyMap<number, { readonly min: bigint; readonly max: bigint; readonly name: string }> =
  new Map([
    [Oid.int2, { min: -32768n, max: 32767n, name: "smallint" }],
    [Oid.int4, { min: -2147483648n, max: 2147483647n, name: "integer" }],
    [Oid.int8, { min: -9223372036854775808n, max: 9223372036854775807n, name: "bigint" }],
  ]);

/** Options of CREATE SEQUENCE or of an identity column. `typeOid` is the column's, or bigint unless AS says otherwise. */
export function bindSequenceOptions(
  options: readonly Node[] | undefined,
  defaultTypeOid: number,
  context: DefinitionBindContext,
): SequenceDefinition {
  const given = new Map<string, DefElem>();
  for (const option of options ?? []) {
    if (!("DefElem" in option)) continue;
    const name = option.DefElem.defname ?? "";
    if (given.has(name)) throw new SqlError(SqlState.syntaxError, "conflicting or redundant options");
    given.set(name, option.DefElem);
  }
  const asType = given.get("as")?.arg;
  const typeOid =
    asType !== undefined && "TypeName" in asType ? context.resolveType(asType.TypeName).oid : defaultTypeOid;
  const range = RANGES.get(typeOid);
  if (range === undefined) {
    throw new SqlError(SqlState.invalidParameterValue, "sequence type must be smallint, integer, or bigint");
  }
  const increment = integerOption(given.get("increment")) ?? 1n;
  if (increment === 0n) throw new SqlError(SqlState.invalidParameterValue, "INCREMENT must not be zero");
  const isAscending = increment > 0n;
  const min = integerOption(given.get("minvalue")) ?? (isAscending ? 1n : range.min);
  const max = integerOption(given.get("maxvalue")) ?? (isAscending ? range.max : -1n);
  if (max > range.max || max < range.min) {
    throw new SqlError(
      SqlState.invalidParameterValue,
      `MAXVALUE (${max}) is out of range for sequence data type ${range.name}`,
    );
  }
  if (min < range.min || min > range.max) {
    throw new SqlError(
      SqlState.invalidParameterValue,
      `MINVALUE (${min}) is out of range for sequence data type ${range.name}`,
    );
  }
  if (min >= max) {
    throw new SqlError(
      SqlState.invalidParameterValue,
      `MINVALUE (${min}) must be less than MAXVALUE (${max})`,
    );
  }
  const start = integerOption(given.get("start")) ?? (isAscending ? min : max);
  if (start < min) {
    throw new SqlError(
      SqlState.invalidParameterValue,
      `START value (${start}) cannot be less than MINVALUE (${min})`,
    );
  }
  if (start > max) {
    throw new SqlError(
      SqlState.invalidParameterValue,
      `START value (${start}) cannot be greater than MAXVALUE (${max})`,
    );
  }
  const cache = integerOption(given.get("cache")) ?? 1n;
  if (cache <= 0n)
    throw new SqlError(SqlState.invalidParameterValue, `CACHE (${cache}) must be greater than zero`);
  return {
    name: sequenceName(given.get("sequence_name")),
    typeOid,
    start,
    increment,
    min,
    max,
    cache,
    cycle: booleanOption(given.get("cycle")),
  };
}

function sequenceName(option: DefElem | undefined): string | undefined {
  const arg = option?.arg;
  if (arg === undefined || !("List" in arg)) return undefined;
  const last = arg.List.items?.at(-1);
  return last !== undefined && "String" in last ? last.String.sval : undefined;
}

/** NO MINVALUE has no argument: the default applies. */
function integerOption(option: DefElem | undefined): bigint | undefined {
  const arg = option?.arg;
  if (arg === undefined) return undefined;
  if ("Integer" in arg) return BigInt(arg.Integer.ival ?? 0);
  if ("Float" in arg) return BigInt(arg.Float.fval ?? "0");
  return undefined;
}

function booleanOption(option: DefElem | undefined): boolean {
  const arg = option?.arg;
  return arg !== undefined && "Boolean" in arg && arg.Boolean.boolval === true;
}

export function bindCreateSequence(
  statement: CreateSeqStmt,
  context: DefinitionBindContext,
): CreateSequencePlan {
  const name = statement.sequence ?? {};
  const options = (statement.options ?? []).filter((option) => {
    if (!("DefElem" in option) || option.DefElem.defname !== "owned_by") return true;
    const owner = option.DefElem.arg;
    const parts = owner !== undefined && "List" in owner ? stringsOf(owner.List.items) : [];
    if (parts.length === 1 && parts[0] === "none") return false;
    throw notSupported("CREATE SEQUENCE ... OWNED BY", positionOf(option.DefElem.location));
  });
  return {
    kind: "create-sequence",
    schema: creationSchema(name, context),
    ifNotExists: statement.if_not_exists === true,
    sequence: { ...bindSequenceOptions(options, Oid.int8, context), name: name.relname ?? "" },
  };
}
