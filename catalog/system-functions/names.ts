// format_type, to_reg*, pg_*_is_visible, pg_get_userbyid.
import { SqlError, SqlState } from "../../common/error.ts";
import type { Datum, RegKind } from "../../common/types/type.ts";
import { type GeneratedName, generatedTable, rowsBy } from "../builtin/tables.ts";
import { isFunctionVisible, isOperatorVisible } from "../deparse/function-name.ts";
import type { NameScope } from "../deparse/identifier.ts";
import { lookUp } from "../deparse/reg-names.ts";
import { isRelationVisible, relationFace } from "../deparse/relation.ts";
import { formatType, isTypeVisible } from "../deparse/type-name.ts";
import { roleName } from "../pg-catalog/shared.ts";
import { type BodyEntry, scalar, scopeOf, snapshotOf } from "./body.ts";
import { plainText } from "../pg-catalog/rows.ts";

const REG_KINDS: readonly RegKind[] = [
  "regclass",
  "regtype",
  "regproc",
  "regprocedure",
  "regoper",
  "regoperator",
  "regnamespace",
  "regrole",
  "regcollation",
];

export const nameBodies: readonly BodyEntry[] = [
  scalar("format_type", ([oid, typmod], call) =>
    oid === null
      ? null
      : formatType(scopeOf(call), Number(oid), typmod === null ? undefined : Number(typmod)),
  ),
  scalar(
    "pg_get_userbyid",
    ([oid], call) => roleName(snapshotOf(call), Number(oid)) ?? `unknown (OID=${plainText(oid)})`,
  ),
  // The implicit cast from text: 'name'::text::regclass fails where to_regclass says NULL.
  scalar("text_regclass", ([text], call) => {
    const found = lookUp(scopeOf(call), "regclass", plainText(text));
    if (typeof found === "number") return found;
    throw found;
  }),
  ...REG_KINDS.map((kind) =>
    scalar(`to_${kind}`, ([text], call) => toReg(scopeOf(call), kind, plainText(text))),
  ),
  ...visibility(),
];

/** NULL for a name that finds nothing or more than one thing; text that is no name at all is still an error. */
function toReg(scope: NameScope, kind: RegKind, text: string): Datum {
  try {
    const found = lookUp(scope, kind, text);
    return typeof found === "number" ? found : null;
  } catch (error) {
    if (error instanceof SqlError && error.code === SqlState.invalidSchemaName) return null;
    throw error;
  }
}

/** NULL for an oid that names nothing, as every pg_*_is_visible answers. */
function visibility(): BodyEntry[] {
  const generated = (source: string, table: GeneratedName, nameColumn: string): BodyEntry =>
    scalar(source, ([oid], call) => {
      const row = rowsBy(table, "oid", plainText(oid))[0];
      if (row === undefined) return null;
      const rows = generatedTable(table);
      const name = rows.field(row, rows.position(nameColumn)) ?? "";
      const namespace = rows.columns.find((column) => column.endsWith("namespace")) ?? "";
      const schema = snapshotOf(call).entry("schema", Number(rows.field(row, rows.position(namespace))));
      return name !== "" && call.context.catalog.searchPath(true).includes(schema?.name ?? "");
    });
  return [
    scalar("pg_table_is_visible", ([oid], call) => {
      const face = relationFace(snapshotOf(call), Number(oid));
      return face === undefined ? null : isRelationVisible(scopeOf(call), face);
    }),
    scalar("pg_type_is_visible", ([oid], call) => {
      const type = snapshotOf(call).typeByOid(Number(oid));
      return type === undefined ? null : isTypeVisible(scopeOf(call), type);
    }),
    scalar("pg_function_is_visible", ([oid], call) => {
      const entry = snapshotOf(call).functionByOid(Number(oid));
      return entry === undefined ? null : isFunctionVisible(scopeOf(call), entry);
    }),
    scalar("pg_operator_is_visible", ([oid], call) => {
      const entry = snapshotOf(call).operatorByOid(Number(oid));
      return entry === undefined ? null : isOperatorVisible(scopeOf(call), entry);
    }),
    generated("pg_opclass_is_visible", "pg_opclass", "opcname"),
    generated("pg_opfamily_is_visible", "pg_opfamily", "opfname"),
    generated("pg_collation_is_visible", "pg_collation", "collname"),
    generated("pg_conversion_is_visible", "pg_conversion", "conname"),
    generated("pg_ts_config_is_visible", "pg_ts_config", "cfgname"),
    generated("pg_ts_dict_is_visible", "pg_ts_dict", "dictname"),
    generated("pg_ts_parser_is_visible", "pg_ts_parser", "prsname"),
    generated("pg_ts_template_is_visible", "pg_ts_template", "tmplname"),
    scalar("pg_statistics_obj_is_visible", () => null),
  ];
}
