// routines and parameters.
import { viewPart, yesNo, type ViewDefinition } from "./view.ts";

/** Types of the product's own range are extensions' types to the standard, as vector is in PostgreSQL. */
const DATA_TYPE = `CASE WHEN t.typelem <> 0 AND t.typlen = -1 THEN 'ARRAY'
        WHEN nt.nspname = 'pg_catalog' AND t.oid < 16384 THEN format_type(t.oid, NULL) ELSE 'USER-DEFINED' END`;
const MAY_CALL = "(pg_has_role(p.proowner, 'USAGE') OR has_function_privilege(p.oid, 'EXECUTE'))";

const routines = viewPart(
  "routines",
  {
    specific_catalog: "current_database()",
    specific_schema: "n.nspname",
    specific_name: "nameconcatoid(p.proname, p.oid)",
    routine_catalog: "current_database()",
    routine_schema: "n.nspname",
    routine_name: "p.proname",
    routine_type: "CASE p.prokind WHEN 'f' THEN 'FUNCTION' WHEN 'p' THEN 'PROCEDURE' END",
    data_type: `CASE WHEN p.prokind <> 'p' THEN ${DATA_TYPE} END`,
    type_udt_catalog: "CASE WHEN nt.nspname IS NOT NULL THEN current_database() END",
    type_udt_schema: "nt.nspname",
    type_udt_name: "t.typname",
    dtd_identifier: "CASE WHEN p.prokind <> 'p' THEN '0' END",
    routine_body: "CASE WHEN l.lanname = 'sql' THEN 'SQL' ELSE 'EXTERNAL' END",
    routine_definition: "CASE WHEN pg_has_role(p.proowner, 'USAGE') THEN p.prosrc END",
    external_name: "CASE WHEN l.lanname = 'c' THEN p.prosrc END",
    external_language: "upper(l.lanname::text)",
    parameter_style: "'GENERAL'",
    is_deterministic: yesNo("p.provolatile = 'i'"),
    sql_data_access: "'MODIFIES'",
    is_null_call: "CASE WHEN p.prokind <> 'p' THEN CASE WHEN p.proisstrict THEN 'YES' ELSE 'NO' END END",
    schema_level_routine: "'YES'",
    max_dynamic_result_sets: "0",
    security_type: "CASE WHEN p.prosecdef THEN 'DEFINER' ELSE 'INVOKER' END",
    as_locator: "'NO'",
    is_udt_dependent: "'NO'",
  },
  `FROM pg_proc p
     JOIN pg_namespace n ON n.oid = p.pronamespace
     JOIN pg_language l ON p.prolang = l.oid
     LEFT JOIN pg_type t ON p.prorettype = t.oid AND p.prokind <> 'p'
     LEFT JOIN pg_namespace nt ON t.typnamespace = nt.oid
   WHERE ${MAY_CALL}`,
);

const parameters = viewPart(
  "parameters",
  {
    specific_catalog: "current_database()",
    specific_schema: "n.nspname",
    specific_name: "nameconcatoid(p.proname, p.oid)",
    ordinal_position: "k.n",
    parameter_mode: `CASE WHEN p.proargmodes IS NULL OR p.proargmodes[k.n] IN ('i', 'v') THEN 'IN'
        WHEN p.proargmodes[k.n] IN ('o', 't') THEN 'OUT' WHEN p.proargmodes[k.n] = 'b' THEN 'INOUT' END`,
    is_result: "'NO'",
    as_locator: "'NO'",
    parameter_name: "nullif(p.proargnames[k.n], '')",
    data_type: DATA_TYPE,
    udt_catalog: "current_database()",
    udt_schema: "nt.nspname",
    udt_name: "t.typname",
    dtd_identifier: "k.n::text",
    parameter_default:
      "CASE WHEN pg_has_role(p.proowner, 'USAGE') THEN pg_get_function_arg_default(p.oid, k.n) END",
  },
  // proargtypes counts from 0, proallargtypes and the positions here from 1.
  `FROM pg_proc p
     JOIN pg_namespace n ON n.oid = p.pronamespace
     CROSS JOIN LATERAL generate_series(1, coalesce(cardinality(p.proallargtypes), p.pronargs)) AS k (n)
     JOIN pg_type t ON t.oid = CASE WHEN p.proallargtypes IS NULL THEN p.proargtypes[k.n - 1] ELSE p.proallargtypes[k.n] END
     JOIN pg_namespace nt ON t.typnamespace = nt.oid
   WHERE ${MAY_CALL}`,
);

export const routineViews: readonly ViewDefinition[] = [
  ["routines", routines],
  ["parameters", parameters],
];
