// Questions about the server and its objects that have one short answer: encodings, temporary schemas, what can be updated,
// sequences, index properties.
import { SqlError, SqlState } from "../../common/error.ts";
import { SqlArray } from "../../common/types/array.ts";
import { Oid } from "../../common/types/oid.ts";
import { systemRelationByOid } from "../builtin/system-relations.ts";
import { generatedTable } from "../builtin/tables.ts";
import { CatalogOid, type CatalogSnapshot } from "../catalog.ts";
import { quoteIdentifier } from "../../common/identifier.ts";
import { relationFace } from "../deparse/relation.ts";
import type { IndexEntry } from "../entries.ts";
import { int8 } from "../pg-catalog/relation-views.ts";
import { alwaysNull, type BodyEntry, scalar, snapshotOf, statisticsOf } from "./body.ts";
import { plainText } from "../pg-catalog/rows.ts";

/** PostgreSQL's encodings by number (pg_wchar.h); the server itself speaks UTF8 only. */
const ENCODINGS: readonly string[] = (
  "SQL_ASCII EUC_JP EUC_CN EUC_KR EUC_TW EUC_JIS_2004 UTF8 MULE_INTERNAL LATIN1 LATIN2 LATIN3 LATIN4 LATIN5 LATIN6 LATIN7 " +
  "LATIN8 LATIN9 LATIN10 WIN1256 WIN1258 WIN866 WIN874 KOI8R WIN1251 WIN1252 ISO_8859_5 ISO_8859_6 ISO_8859_7 ISO_8859_8 " +
  "WIN1250 WIN1253 WIN1254 WIN1255 WIN1257 KOI8U SJIS BIG5 GBK UHC GB18030 JOHAB SHIFT_JIS_2004"
).split(" ");

/** Bits of pg_relation_is_updatable: INSERT 8, UPDATE 4, DELETE 16. */
const UPDATABLE = 28;

export const serverBodies: readonly BodyEntry[] = [
  scalar("PG_encoding_to_char", ([number]) => ENCODINGS[Number(number)] ?? ""),
  scalar("PG_char_to_encoding", ([name]) => encodingNumber(plainText(name))),
  scalar("pg_encoding_max_length_sql", ([number]) =>
    Number(number) === ENCODINGS.indexOf("UTF8") ? 4 : null,
  ),
  scalar("pg_tablespace_location", () => ""),
  scalar("pg_blocking_pids", ([processId], call) =>
    SqlArray.of(Oid.int4, [...statisticsOf(call).blockers(Number(processId))]),
  ),
  scalar(
    "pg_my_temp_schema",
    (_, call) => temporarySchema(call.context.catalog.searchPath(true), snapshotOf(call)) ?? 0,
  ),
  scalar("pg_is_other_temp_schema", ([oid], call) => {
    const catalog = snapshotOf(call);
    const own = temporarySchema(call.context.catalog.searchPath(true), catalog);
    const schema = catalog.entry("schema", Number(oid));
    return schema !== undefined && schema.name.startsWith("pg_temp_") && schema.oid !== own;
  }),
  scalar("pg_relation_is_publishable", ([oid], call) => {
    const face = relationFace(snapshotOf(call), Number(oid));
    return face === undefined ? null : face.relkind === "r" && face.oid >= CatalogOid.firstUser;
  }),
  scalar("pg_relation_is_updatable", ([oid], call) => updatable(snapshotOf(call), Number(oid))),
  scalar(
    "pg_column_is_updatable",
    ([oid, attnum], call) => Number(attnum) > 0 && updatable(snapshotOf(call), Number(oid)) !== 0,
  ),
  scalar("pg_relation_filenode", ([oid], call) => {
    const face = relationFace(snapshotOf(call), Number(oid));
    return face === undefined || face.relkind === "v" ? null : face.oid;
  }),
  scalar("pg_sequence_last_value", ([oid], call) => sequenceValue(call, Number(oid))),
  scalar("pg_index_column_has_property", ([oid, column, property], call) =>
    columnProperty(snapshotOf(call).entry("index", Number(oid)), Number(column), plainText(property)),
  ),
  scalar("pg_index_has_property", ([oid, property], call) => {
    const index = snapshotOf(call).entry("index", Number(oid));
    if (index?.kind !== "index") return null;
    return property === "bitmap_scan" || property === "index_scan"
      ? true
      : property === "backward_scan"
        ? index.method === "btree"
        : null;
  }),
  scalar("pg_collation_for", ([value], call) => {
    const type = call.argumentTypes[0];
    const collation = type === undefined ? 0 : (snapshotOf(call).typeByOid(type.oid)?.collation ?? 0);
    if (value === null || collation === 0) return null;
    return collation === CatalogOid.cCollation ? quoteIdentifier("C") : quoteIdentifier("default");
  }),
  [
    "pg_options_to_table",
    {
      kind: "set",
      *rows([options]) {
        if (!(options instanceof SqlArray)) return;
        for (const option of options.elements) {
          const text = plainText(option);
          const equals = text.indexOf("=");
          yield equals < 0 ? [text, null] : [text.slice(0, equals), text.slice(equals + 1)];
        }
      },
    },
  ],
  [
    "pg_get_keywords",
    {
      kind: "set",
      *rows() {
        const table = generatedTable("pg_keywords");
        for (let row = 0; row < table.rowCount; row++) {
          const [word = null, category = null, isBareLabel, ...descriptions] = table.fields(row);
          yield [word, category, isBareLabel === "t", ...descriptions];
        }
      },
    },
  ],
  [
    "pg_tablespace_databases",
    {
      kind: "set",
      *rows(_, call) {
        for (const database of snapshotOf(call).databases()) yield database.oid;
      },
    },
  ],
  ["aclexplode", { kind: "set", rows: () => [] }],
  scalar("row_security_active", () => false),
  scalar("row_security_active_name", () => false),
  // Nothing is partitioned: the function gives no rows, for tables as for everything else.
  ["pg_partition_ancestors", { kind: "set", rows: () => [] }],
  ["pg_partition_tree", { kind: "set", rows: () => [] }],
  ...alwaysNull(
    "pg_collation_actual_version",
    "pg_database_collation_actual_version",
    "pg_partition_root",
    "pg_column_compression",
  ),
];

function encodingNumber(name: string): number {
  const plain = (text: string): string => text.toLowerCase().replace(/[^a-z0-9]/g, "");
  const wanted = plain(name) === "unicode" ? "utf8" : plain(name);
  return ENCODINGS.findIndex((encoding) => plain(encoding) === wanted);
}

function temporarySchema(path: readonly string[], catalog: CatalogSnapshot): number | undefined {
  const name = path.find((candidate) => candidate.startsWith("pg_temp_"));
  return name === undefined ? undefined : catalog.schemaByName(name)?.oid;
}

function updatable(catalog: CatalogSnapshot, oid: number): number {
  return catalog.relationByOid(oid)?.kind === "table" || systemRelationByOid(oid)?.relkind === "r"
    ? UPDATABLE
    : 0;
}

function sequenceValue(call: Parameters<typeof snapshotOf>[0], oid: number): number | bigint | null {
  const face = relationFace(snapshotOf(call), oid);
  const sequence = snapshotOf(call).entry("sequence", oid);
  if (sequence?.kind !== "sequence") {
    const message =
      face === undefined ? `relation with OID ${oid} does not exist` : `"${face.name}" is not a sequence`;
    throw new SqlError(face === undefined ? SqlState.undefinedTable : SqlState.wrongObjectType, message);
  }
  const { lastValue, isCalled } = statisticsOf(call).sequence(sequence.storageId);
  return isCalled ? int8(lastValue) : null;
}

function columnProperty(
  index: { readonly kind: string } | undefined,
  position: number,
  property: string,
): boolean | null {
  if (index?.kind !== "index") return null;
  const entry = index as IndexEntry;
  const column = entry.columns[position - 1];
  if (column === undefined) return null;
  const isKey = position <= entry.keyCount;
  const isOrdered = isKey && entry.method === "btree";
  switch (property) {
    case "asc":
      return isOrdered ? !column.descending : isKey ? false : null;
    case "desc":
      return isOrdered ? column.descending : isKey ? false : null;
    case "nulls_first":
      return isOrdered ? column.nullsFirst : isKey ? false : null;
    case "nulls_last":
      return isOrdered ? !column.nullsFirst : isKey ? false : null;
    case "orderable":
    case "search_array":
    case "search_nulls":
      return isKey ? isOrdered : null;
    case "distance_orderable":
      return isKey && !isOrdered;
    case "returnable":
      return false;
    default:
      return null;
  }
}
