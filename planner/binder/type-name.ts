// A type as written (varchar(3), numeric(10,2)[], pg_catalog.int4, vector(768)) -> SqlType. Modifiers become the packed
// typmod that PostgreSQL's typmodin functions give.
import { SqlError, SqlState, notSupported } from "../../common/error.ts";
import { MAX_DIMENSIONS } from "../../common/types/embedding.ts";
import { parseInteger } from "../../common/types/int.ts";
import { Oid } from "../../common/types/oid.ts";
import { MAX_SPARSE_DIMENSIONS } from "../../common/types/sparsevec.ts";
import type { SqlType } from "../../common/types/type.ts";
import { positionOf, stringsOf, type Node, type TypeName } from "../../parser/tree.ts";
import type { CatalogSnapshot, TypeEntry } from "../../catalog/catalog.ts";
import { arrayTypeOf, typeName } from "./types.ts";

/** What resolving a type needs: BindContext is one, DDL has its own. */
export interface TypeNameContext {
  readonly catalog: CatalogSnapshot;
  readonly searchPath: readonly string[];
}

/** 42704 for an unknown type; typmod errors 22023. */
export function resolveTypeName(context: TypeNameContext, node: TypeName): SqlType {
  const position = positionOf(node.location);
  if (node.setof === true) throw notSupported("SETOF types here", position);
  if (node.pct_type === true) throw notSupported("%TYPE", position);
  const element = lookupType(context, node, position);
  const typmod = modifierOf(context, element, node, position);
  const isArray = (node.arrayBounds ?? []).length > 0;
  if (!isArray) return { oid: element.oid, typmod };
  const oid = arrayTypeOf(context.catalog, element.oid);
  if (oid === 0) {
    throw new SqlError(
      SqlState.undefinedObject,
      `could not find array type for data type ${typeName(context.catalog, element.oid)}`,
      { position: position || undefined },
    );
  }
  return { oid, typmod };
}

function lookupType(context: TypeNameContext, node: TypeName, position: number): TypeEntry {
  const names = stringsOf(node.names);
  const name = names.at(-1) ?? "";
  const schema = names.length > 1 ? names.at(-2) : undefined;
  if (schema !== undefined && context.catalog.schemaByName(schema) === undefined) {
    throw new SqlError(SqlState.invalidSchemaName, `schema "${schema}" does not exist`, {
      position: position || undefined,
    });
  }
  const found = context.catalog.typeByName(schema, name, context.searchPath);
  if (found === undefined) {
    const written = names.join(".") + ((node.arrayBounds ?? []).length > 0 ? "[]" : "");
    throw new SqlError(SqlState.undefinedObject, `type "${written}" does not exist`, {
      position: position || undefined,
    });
  }
  return found;
}

function modifierOf(context: TypeNameContext, type: TypeEntry, node: TypeName, position: number): number {
  const written = node.typmods ?? [];
  if (written.length === 0) return node.typemod ?? -1;
  const values = written.map((item) => modifierValue(item, position));
  return packModifier(context, type, values, position);
}

/** Modifiers reach a type as words (integers, strings, identifiers); all types here read them as integers. */
function modifierValue(node: Node, position: number): number {
  const at = { position: position || undefined };
  const word = modifierWord(node);
  if (word === undefined) {
    throw new SqlError(SqlState.syntaxError, "type modifiers must be simple constants or identifiers", at);
  }
  try {
    return parseInteger(word, "integer", -2147483648, 2147483647);
  } catch (thrown) {
    throw thrown instanceof SqlError ? thrown.with(at) : thrown;
  }
}

function modifierWord(node: Node): string | undefined {
  if ("A_Const" in node) {
    const { ival, fval, sval } = node.A_Const;
    if (ival !== undefined) return String(ival.ival ?? 0);
    return fval?.fval ?? sval?.sval;
  }
  const names = "ColumnRef" in node ? (node.ColumnRef.fields ?? []) : [];
  const [only] = names;
  return names.length === 1 && only !== undefined && "String" in only ? only.String.sval : undefined;
}

/** MaxAttrSize * BITS_PER_BYTE. */
const MAX_BIT_MODIFIER = 83_886_080;

function packModifier(
  context: TypeNameContext,
  type: TypeEntry,
  values: readonly number[],
  position: number,
): number {
  const at = { position: position || undefined };
  const invalid = (message: string): SqlError => new SqlError(SqlState.invalidParameterValue, message, at);
  const first = values[0] ?? -1;
  switch (type.oid) {
    case Oid.varchar:
    case Oid.bpchar: {
      const name = type.oid === Oid.varchar ? "varchar" : "char";
      if (values.length !== 1) throw invalid("invalid type modifier");
      if (first < 1) throw invalid(`length for type ${name} must be at least 1`);
      if (first > 10_485_760) throw invalid(`length for type ${name} cannot exceed 10485760`);
      return first + 4;
    }
    case Oid.numeric: {
      const scale = values[1] ?? 0;
      if (values.length > 2) throw invalid("invalid NUMERIC type modifier");
      if (first < 1 || first > 1000) throw invalid(`NUMERIC precision ${first} must be between 1 and 1000`);
      if (scale < -1000 || scale > 1000)
        throw invalid(`NUMERIC scale ${scale} must be between -1000 and 1000`);
      return ((first << 16) | (scale & 0x7ff)) + 4;
    }
    case Oid.time:
    case Oid.timetz:
    case Oid.timestamp:
    case Oid.timestamptz: {
      if (first < 0) throw invalid(`TIMESTAMP(${first}) precision must not be negative`);
      // PostgreSQL warns and reduces to 6.
      return Math.min(first, 6);
    }
    case Oid.interval: {
      const precision = values[1] ?? 0xffff;
      return ((first & 0x7fff) << 16) | (precision & 0xffff);
    }
    case Oid.bit:
    case Oid.varbit: {
      if (values.length !== 1) throw invalid("invalid type modifier");
      if (first < 1) throw invalid(`length for type ${type.name} must be at least 1`);
      if (first > MAX_BIT_MODIFIER) {
        throw invalid(`length for type ${type.name} cannot exceed ${MAX_BIT_MODIFIER}`);
      }
      return first;
    }
    case Oid.vector:
    case Oid.halfvec:
    case Oid.sparsevec: {
      const most = type.oid === Oid.sparsevec ? MAX_SPARSE_DIMENSIONS : MAX_DIMENSIONS;
      if (values.length !== 1) throw invalid("invalid type modifier");
      if (first < 1) throw invalid(`dimensions for type ${type.name} must be at least 1`);
      if (first > most) throw invalid(`dimensions for type ${type.name} cannot exceed ${most}`);
      return first;
    }
    default:
      break;
  }
  throw new SqlError(SqlState.syntaxError, `type modifier is not allowed for type "${type.name}"`, at);
}
