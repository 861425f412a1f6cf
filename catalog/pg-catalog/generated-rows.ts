// Rows of the system tables that never change here: decoded from the generated text by the column's type.
import { SqlArray } from "../../common/types/array.ts";
import { Oid } from "../../common/types/oid.ts";
import { codecOf } from "../../common/types/registry.ts";
import type { Datum, SqlType, TypeContext } from "../../common/types/type.ts";
import { words } from "../builtin/generated-table.ts";
import { systemRelation } from "../builtin/system-relations.ts";
import { type GeneratedName, generatedTable, rowsBy } from "../builtin/tables.ts";
import { builtinType } from "../builtin/types.ts";
import { CatalogOid } from "../catalog.ts";
import { must } from "../../common/assert.ts";
import { plainText, type Lookup, type RelationRows, type Row } from "./rows.ts";

const ACL_ITEM_ARRAY = 1034;

/** A whole relation of generated rows, with look-ups by the columns named. */
export function generatedRelation(name: GeneratedName, lookups: readonly string[] = ["oid"]): RelationRows {
  return {
    lookups,
    rows: (context, equal) => generatedRows(name, context.functions.types, equal),
  };
}

export function* generatedRows(
  name: GeneratedName,
  types: TypeContext,
  equal: Lookup | undefined,
): Iterable<Row> {
  const decode = rowDecoder(name, types);
  if (equal !== undefined) {
    for (const row of rowsBy(name, equal.column, plainText(equal.value))) yield decode(row);
    return;
  }
  const { rowCount } = generatedTable(name);
  for (let row = 0; row < rowCount; row++) yield decode(row);
}

/** Decodes a row by its number. */
export function rowDecoder(name: GeneratedName, types: TypeContext): (row: number) => Row {
  const table = generatedTable(name);
  const relation = must(systemRelation(CatalogOid.pgCatalogSchema, name), `the system relation ${name}`);
  const typeOf = new Map(relation.columns.map((column) => [column.name, column.type]));
  const columnTypes = table.columns.map((column) =>
    must(typeOf.get(column), `a column ${column} of ${name}`),
  );
  return (row) => {
    const decoded: Record<string, Datum> = {};
    for (const [i, text] of table.fields(row).entries()) {
      decoded[table.columns[i] ?? ""] =
        text === null ? null : fieldValue(text, columnTypes[i] as SqlType, types);
    }
    return decoded;
  };
}

function fieldValue(text: string, type: SqlType, types: TypeContext): Datum {
  switch (type.oid) {
    case Oid.bool:
      return text === "t";
    case Oid.name:
    case Oid.text:
    case Oid.char:
    case Oid.pg_node_tree:
      return text;
    case Oid.oid:
    case Oid.int2:
    case Oid.int4:
    case Oid.float4:
    case Oid.regproc:
    case Oid.xid:
      return Number(text);
    case Oid.oidvector:
      return new SqlArray(Oid.oid, [words(text).length], [0], words(text).map(Number));
    // Grants are not recorded: NULL means the built-in defaults, which is what is in force.
    case ACL_ITEM_ARRAY:
      return null;
    default:
      return arrayOf(text, type) ?? codecOf(type.oid).parse(text, type.typmod, types);
  }
}

function arrayOf(text: string, type: SqlType): Datum | undefined {
  const element = builtinType(type.oid)?.elementOid ?? 0;
  if (element === 0 || !text.startsWith("{")) return undefined;
  const isNumber = element === Oid.oid || element === Oid.int2 || element === Oid.int4;
  return SqlArray.of(element, isNumber ? words(text).map(Number) : words(text));
}
