// schemata, tables, views, columns, sequences, element_types.
import { VISIBLE_TABLE, viewPart, yesNo, type ViewDefinition } from "./view.ts";

const schemata = viewPart(
  "schemata",
  { catalog_name: "current_database()", schema_name: "n.nspname", schema_owner: "u.rolname" },
  `FROM pg_namespace n JOIN pg_authid u ON n.nspowner = u.oid
   WHERE pg_has_role(n.nspowner, 'USAGE') OR has_schema_privilege(n.oid, 'CREATE, USAGE')`,
);

const tables = viewPart(
  "tables",
  {
    table_catalog: "current_database()",
    table_schema: "nc.nspname",
    table_name: "c.relname",
    table_type: `CASE WHEN nc.oid = pg_my_temp_schema() THEN 'LOCAL TEMPORARY'
        WHEN c.relkind IN ('r', 'p') THEN 'BASE TABLE' WHEN c.relkind = 'v' THEN 'VIEW'
        WHEN c.relkind = 'f' THEN 'FOREIGN' END`,
    is_insertable_into: yesNo(
      "c.relkind IN ('r', 'p') OR (c.relkind IN ('v', 'f') AND pg_relation_is_updatable(c.oid::regclass, false) & 8 = 8)",
    ),
    is_typed: "'NO'",
  },
  `FROM pg_namespace nc JOIN pg_class c ON nc.oid = c.relnamespace
   WHERE c.relkind IN ('r', 'v', 'f', 'p') AND NOT pg_is_other_temp_schema(nc.oid) AND ${VISIBLE_TABLE}`,
);

const views = viewPart(
  "views",
  {
    table_catalog: "current_database()",
    table_schema: "nc.nspname",
    table_name: "c.relname",
    view_definition: "CASE WHEN pg_has_role(c.relowner, 'USAGE') THEN pg_get_viewdef(c.oid) END",
    check_option: "'NONE'",
    is_updatable: yesNo("pg_relation_is_updatable(c.oid::regclass, false) & 20 = 20"),
    is_insertable_into: yesNo("pg_relation_is_updatable(c.oid::regclass, false) & 8 = 8"),
    is_trigger_updatable: "'NO'",
    is_trigger_deletable: "'NO'",
    is_trigger_insertable_into: "'NO'",
  },
  `FROM pg_namespace nc JOIN pg_class c ON c.relnamespace = nc.oid
   WHERE c.relkind = 'v' AND NOT pg_is_other_temp_schema(nc.oid) AND ${VISIBLE_TABLE}`,
);

const TRUE_TYPE = "CASE WHEN t.typtype = 'd' THEN t.typbasetype ELSE a.atttypid END";
const TRUE_TYPMOD = "CASE WHEN t.typtype = 'd' THEN t.typtypmod ELSE a.atttypmod END";
const property = (name: string): string => `information_schema._pg_${name}(${TRUE_TYPE}, ${TRUE_TYPMOD})`;

const columns = viewPart(
  "columns",
  {
    table_catalog: "current_database()",
    table_schema: "nc.nspname",
    table_name: "c.relname",
    column_name: "a.attname",
    ordinal_position: "a.attnum",
    column_default: "CASE WHEN a.attgenerated = '' THEN pg_get_expr(ad.adbin, ad.adrelid) END",
    is_nullable: "CASE WHEN a.attnotnull OR (t.typtype = 'd' AND t.typnotnull) THEN 'NO' ELSE 'YES' END",
    data_type: `CASE WHEN t.typtype = 'd' THEN
          CASE WHEN bt.typelem <> 0 AND bt.typlen = -1 THEN 'ARRAY'
            WHEN nbt.nspname = 'pg_catalog' THEN format_type(t.typbasetype, NULL) ELSE 'USER-DEFINED' END
        WHEN t.typelem <> 0 AND t.typlen = -1 THEN 'ARRAY'
        WHEN nt.nspname = 'pg_catalog' AND t.oid < 16384 THEN format_type(a.atttypid, NULL) ELSE 'USER-DEFINED' END`,
    character_maximum_length: property("char_max_length"),
    character_octet_length: property("char_octet_length"),
    numeric_precision: property("numeric_precision"),
    numeric_precision_radix: property("numeric_precision_radix"),
    numeric_scale: property("numeric_scale"),
    datetime_precision: property("datetime_precision"),
    interval_type: property("interval_type"),
    collation_catalog: "CASE WHEN co.oid IS NOT NULL THEN current_database() END",
    collation_schema: "nco.nspname",
    collation_name: "co.collname",
    domain_catalog: "CASE WHEN t.typtype = 'd' THEN current_database() END",
    domain_schema: "CASE WHEN t.typtype = 'd' THEN nt.nspname END",
    domain_name: "CASE WHEN t.typtype = 'd' THEN t.typname END",
    udt_catalog: "current_database()",
    udt_schema: "coalesce(nbt.nspname, nt.nspname)",
    udt_name: "coalesce(bt.typname, t.typname)",
    dtd_identifier: "a.attnum::text",
    is_self_referencing: "'NO'",
    is_identity: yesNo("a.attidentity IN ('a', 'd')"),
    identity_generation: "CASE a.attidentity WHEN 'a' THEN 'ALWAYS' WHEN 'd' THEN 'BY DEFAULT' END",
    identity_start: "seq.seqstart::text",
    identity_increment: "seq.seqincrement::text",
    identity_maximum: "seq.seqmax::text",
    identity_minimum: "seq.seqmin::text",
    identity_cycle: yesNo("seq.seqcycle"),
    is_generated: "CASE WHEN a.attgenerated <> '' THEN 'ALWAYS' ELSE 'NEVER' END",
    generation_expression: "CASE WHEN a.attgenerated <> '' THEN pg_get_expr(ad.adbin, ad.adrelid) END",
    is_updatable: yesNo(
      `c.relkind IN ('r', 'p')
        OR (c.relkind IN ('v', 'f') AND pg_column_is_updatable(c.oid::regclass, a.attnum, false))`,
    ),
  },
  // The default collation is not worth a mention, as in PostgreSQL.
  `FROM pg_attribute a
     JOIN pg_class c ON a.attrelid = c.oid
     JOIN pg_namespace nc ON c.relnamespace = nc.oid
     JOIN pg_type t ON a.atttypid = t.oid
     JOIN pg_namespace nt ON t.typnamespace = nt.oid
     LEFT JOIN pg_attrdef ad ON a.attrelid = ad.adrelid AND a.attnum = ad.adnum
     LEFT JOIN pg_type bt ON t.typtype = 'd' AND t.typbasetype = bt.oid
     LEFT JOIN pg_namespace nbt ON bt.typnamespace = nbt.oid
     LEFT JOIN pg_collation co ON a.attcollation = co.oid AND co.collname <> 'default'
     LEFT JOIN pg_namespace nco ON co.collnamespace = nco.oid
     LEFT JOIN pg_depend dep ON dep.refobjid = c.oid AND dep.refobjsubid = a.attnum AND dep.deptype = 'i'
       AND dep.classid = 'pg_class'::regclass AND dep.refclassid = 'pg_class'::regclass
     LEFT JOIN pg_sequence seq ON dep.objid = seq.seqrelid
   WHERE NOT pg_is_other_temp_schema(nc.oid) AND a.attnum > 0 AND NOT a.attisdropped
     AND c.relkind IN ('r', 'v', 'f', 'p')
     AND (pg_has_role(c.relowner, 'USAGE')
       OR has_column_privilege(c.oid, a.attnum, 'SELECT, INSERT, UPDATE, REFERENCES'))`,
);

const sequences = viewPart(
  "sequences",
  {
    sequence_catalog: "current_database()",
    sequence_schema: "nc.nspname",
    sequence_name: "c.relname",
    data_type: "format_type(s.seqtypid, NULL)",
    numeric_precision: "information_schema._pg_numeric_precision(s.seqtypid, -1)",
    numeric_precision_radix: "2",
    numeric_scale: "0",
    start_value: "s.seqstart::text",
    minimum_value: "s.seqmin::text",
    maximum_value: "s.seqmax::text",
    increment: "s.seqincrement::text",
    cycle_option: yesNo("s.seqcycle"),
  },
  // Sequences of identity columns are an implementation detail and left out.
  `FROM pg_sequence s JOIN pg_class c ON c.oid = s.seqrelid JOIN pg_namespace nc ON c.relnamespace = nc.oid
   WHERE NOT EXISTS (SELECT 1 FROM pg_depend d
       WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'i')
     AND NOT pg_is_other_temp_schema(nc.oid)
     AND (pg_has_role(c.relowner, 'USAGE') OR has_sequence_privilege(c.oid, 'SELECT, UPDATE, USAGE'))`,
);

/** Element types of array columns; routines have none that anybody asks for. */
const elementTypes = viewPart(
  "element_types",
  {
    object_catalog: "current_database()",
    object_schema: "n.nspname",
    object_name: "c.relname",
    object_type: "'TABLE'",
    collection_type_identifier: "a.attnum::text",
    data_type:
      "CASE WHEN nbt.nspname = 'pg_catalog' AND bt.oid < 16384 THEN format_type(bt.oid, NULL) ELSE 'USER-DEFINED' END",
    collation_catalog: "CASE WHEN co.oid IS NOT NULL THEN current_database() END",
    collation_schema: "nco.nspname",
    collation_name: "co.collname",
    udt_catalog: "current_database()",
    udt_schema: "nbt.nspname",
    udt_name: "bt.typname",
    dtd_identifier: "'a' || a.attnum::text",
  },
  `FROM pg_attribute a
     JOIN pg_class c ON a.attrelid = c.oid
     JOIN pg_namespace n ON c.relnamespace = n.oid
     JOIN pg_type at ON a.atttypid = at.oid
     JOIN pg_type bt ON at.typelem = bt.oid
     JOIN pg_namespace nbt ON bt.typnamespace = nbt.oid
     LEFT JOIN pg_collation co ON a.attcollation = co.oid AND co.collname <> 'default'
     LEFT JOIN pg_namespace nco ON co.collnamespace = nco.oid
   WHERE c.relkind IN ('r', 'v', 'f', 'c', 'p') AND a.attnum > 0 AND NOT a.attisdropped
     AND at.typelem <> 0 AND at.typlen = -1 AND ${VISIBLE_TABLE}`,
);

export const relationViews: readonly ViewDefinition[] = [
  ["schemata", schemata],
  ["tables", tables],
  ["views", views],
  ["columns", columns],
  ["sequences", sequences],
  ["element_types", elementTypes],
];
