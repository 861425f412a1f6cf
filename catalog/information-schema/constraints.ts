// table_constraints, key_column_usage, constraint_column_usage, constraint_table_usage, check_constraints,
// referential_constraints. NOT NULL shows as a check constraint with a made-up name, as in PostgreSQL.
import { VISIBLE_TABLE, viewPart, yesNo, type ViewDefinition } from "./view.ts";

const NOT_NULL_NAME = "n.oid::text || '_' || c.oid::text || '_' || a.attnum::text || '_not_null'";
const NOT_NULL_FROM = `FROM pg_namespace n JOIN pg_class c ON n.oid = c.relnamespace JOIN pg_attribute a ON c.oid = a.attrelid
   WHERE a.attnotnull AND a.attnum > 0 AND NOT a.attisdropped AND c.relkind IN ('r', 'p')
     AND NOT pg_is_other_temp_schema(n.oid)`;

const declared = viewPart(
  "table_constraints",
  {
    constraint_catalog: "current_database()",
    constraint_schema: "nc.nspname",
    constraint_name: "con.conname",
    table_catalog: "current_database()",
    table_schema: "nr.nspname",
    table_name: "c.relname",
    constraint_type:
      "CASE con.contype WHEN 'c' THEN 'CHECK' WHEN 'f' THEN 'FOREIGN KEY' WHEN 'p' THEN 'PRIMARY KEY' WHEN 'u' THEN 'UNIQUE' END",
    is_deferrable: yesNo("con.condeferrable"),
    initially_deferred: yesNo("con.condeferred"),
    enforced: "'YES'",
    nulls_distinct: `CASE WHEN con.contype = 'u' THEN CASE WHEN (SELECT NOT i.indnullsnotdistinct FROM pg_index i
        WHERE i.indexrelid = con.conindid) THEN 'YES' ELSE 'NO' END END`,
  },
  `FROM pg_constraint con
     JOIN pg_namespace nc ON nc.oid = con.connamespace
     JOIN pg_class c ON con.conrelid = c.oid
     JOIN pg_namespace nr ON nr.oid = c.relnamespace
   WHERE con.contype NOT IN ('t', 'x') AND c.relkind IN ('r', 'p') AND NOT pg_is_other_temp_schema(nr.oid) AND ${VISIBLE_TABLE}`,
);

const notNull = viewPart(
  "table_constraints",
  {
    constraint_catalog: "current_database()",
    constraint_schema: "n.nspname",
    constraint_name: NOT_NULL_NAME,
    table_catalog: "current_database()",
    table_schema: "n.nspname",
    table_name: "c.relname",
    constraint_type: "'CHECK'",
    is_deferrable: "'NO'",
    initially_deferred: "'NO'",
    enforced: "'YES'",
  },
  `${NOT_NULL_FROM} AND ${VISIBLE_TABLE}`,
);

const keyColumnUsage = viewPart(
  "key_column_usage",
  {
    constraint_catalog: "current_database()",
    constraint_schema: "nc.nspname",
    constraint_name: "con.conname",
    table_catalog: "current_database()",
    table_schema: "nr.nspname",
    table_name: "c.relname",
    column_name: "a.attname",
    ordinal_position: "k.n",
    position_in_unique_constraint:
      "CASE WHEN con.contype = 'f' THEN information_schema._pg_index_position(con.conindid, con.confkey[k.n]) END",
  },
  `FROM pg_constraint con
     JOIN pg_namespace nc ON nc.oid = con.connamespace
     JOIN pg_class c ON c.oid = con.conrelid
     JOIN pg_namespace nr ON nr.oid = c.relnamespace
     CROSS JOIN LATERAL generate_subscripts(con.conkey, 1) AS k (n)
     JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = con.conkey[k.n]
   WHERE con.contype IN ('p', 'u', 'f') AND c.relkind IN ('r', 'p') AND NOT pg_is_other_temp_schema(nr.oid)
     AND NOT a.attisdropped AND (pg_has_role(c.relowner, 'USAGE')
       OR has_column_privilege(c.oid, a.attnum, 'SELECT, INSERT, UPDATE, REFERENCES'))`,
);

const constraintColumnUsage = viewPart(
  "constraint_column_usage",
  {
    table_catalog: "current_database()",
    table_schema: "nr.nspname",
    table_name: "c.relname",
    column_name: "a.attname",
    constraint_catalog: "current_database()",
    constraint_schema: "nc.nspname",
    constraint_name: "con.conname",
  },
  // A foreign key uses the columns it points at; all others those they stand on.
  `FROM pg_constraint con
     JOIN pg_namespace nc ON nc.oid = con.connamespace
     JOIN pg_class c ON c.oid = CASE con.contype WHEN 'f' THEN con.confrelid ELSE con.conrelid END
     JOIN pg_namespace nr ON nr.oid = c.relnamespace
     JOIN pg_attribute a ON a.attrelid = c.oid
       AND a.attnum = ANY (CASE con.contype WHEN 'f' THEN con.confkey ELSE con.conkey END)
   WHERE con.contype IN ('c', 'p', 'u', 'f') AND c.relkind IN ('r', 'p') AND NOT a.attisdropped
     AND pg_has_role(c.relowner, 'USAGE')`,
);

const constraintTableUsage = viewPart(
  "constraint_table_usage",
  {
    table_catalog: "current_database()",
    table_schema: "nr.nspname",
    table_name: "c.relname",
    constraint_catalog: "current_database()",
    constraint_schema: "nc.nspname",
    constraint_name: "con.conname",
  },
  `FROM pg_constraint con
     JOIN pg_namespace nc ON nc.oid = con.connamespace
     JOIN pg_class c ON c.oid = CASE con.contype WHEN 'f' THEN con.confrelid ELSE con.conrelid END
     JOIN pg_namespace nr ON nr.oid = c.relnamespace
   WHERE con.contype IN ('p', 'u', 'f') AND c.relkind IN ('r', 'p') AND pg_has_role(c.relowner, 'USAGE')`,
);

const checks = viewPart(
  "check_constraints",
  {
    constraint_catalog: "current_database()",
    constraint_schema: "n.nspname",
    constraint_name: "con.conname",
    // Without the leading CHECK.
    check_clause: "substr(pg_get_constraintdef(con.oid), 7)",
  },
  `FROM pg_constraint con JOIN pg_namespace n ON n.oid = con.connamespace JOIN pg_class c ON c.oid = con.conrelid
   WHERE con.contype = 'c' AND pg_has_role(c.relowner, 'USAGE')`,
);

const notNullChecks = viewPart(
  "check_constraints",
  {
    constraint_catalog: "current_database()",
    constraint_schema: "n.nspname",
    constraint_name: NOT_NULL_NAME,
    check_clause: "a.attname::text || ' IS NOT NULL'",
  },
  `${NOT_NULL_FROM} AND pg_has_role(c.relowner, 'USAGE')`,
);

const ACTIONS =
  "WHEN 'c' THEN 'CASCADE' WHEN 'n' THEN 'SET NULL' WHEN 'd' THEN 'SET DEFAULT' WHEN 'r' THEN 'RESTRICT' WHEN 'a' THEN 'NO ACTION'";

const referential = viewPart(
  "referential_constraints",
  {
    constraint_catalog: "current_database()",
    constraint_schema: "ncon.nspname",
    constraint_name: "con.conname",
    unique_constraint_catalog: "CASE WHEN npkc.nspname IS NULL THEN NULL ELSE current_database() END",
    unique_constraint_schema: "npkc.nspname",
    unique_constraint_name: "pkc.conname",
    match_option:
      "CASE con.confmatchtype WHEN 'f' THEN 'FULL' WHEN 'p' THEN 'PARTIAL' WHEN 's' THEN 'NONE' END",
    update_rule: `CASE con.confupdtype ${ACTIONS} END`,
    delete_rule: `CASE con.confdeltype ${ACTIONS} END`,
  },
  `FROM pg_constraint con
     JOIN pg_namespace ncon ON ncon.oid = con.connamespace
     JOIN pg_class c ON con.conrelid = c.oid
     LEFT JOIN pg_constraint pkc ON pkc.conindid = con.conindid AND pkc.contype IN ('p', 'u') AND pkc.conrelid = con.confrelid
     LEFT JOIN pg_namespace npkc ON pkc.connamespace = npkc.oid
   WHERE con.contype = 'f' AND ${VISIBLE_TABLE}`,
);

export const constraintViews: readonly ViewDefinition[] = [
  ["table_constraints", declared, notNull],
  ["key_column_usage", keyColumnUsage],
  ["constraint_column_usage", constraintColumnUsage],
  ["constraint_table_usage", constraintTableUsage],
  ["check_constraints", checks, notNullChecks],
  ["referential_constraints", referential],
];
