// The rows of each relation of pg_catalog. A relation that is not listed here exists with its columns and has no rows.
import { pgLocks, pgStatActivity } from "./activity.ts";
import { pgAttrdef, pgAttribute } from "./attributes.ts";
import { pgClass } from "./classes.ts";
import { pgConstraint, pgDepend, pgIndex } from "./constraints.ts";
import { pgAvailableExtensions, pgAvailableExtensionVersions } from "./extensions.ts";
import { pgAggregate, pgProc } from "./functions.ts";
import { generatedRelation } from "./generated-rows.ts";
import { pgDescription, pgExtension, pgNamespace, pgShdescription } from "./namespaces.ts";
import { pgIndexes, pgSequence, pgSequences, pgTables, pgViews } from "./relation-views.ts";
import type { RelationRows } from "./rows.ts";
import { pgSettings, pgTimezoneAbbrevs, pgTimezoneNames } from "./settings.ts";
import { pgAuthid, pgDatabase, pgGroup, pgRoles, pgShadow, pgUser } from "./shared.ts";
import {
  pgStatDatabase,
  pgStatistic,
  pgStatProgressBasebackup,
  pgStatProgressCreateIndex,
  pgStatProgressVacuum,
  pgStats,
  pgStatUserIndexes,
  pgStatUserTables,
} from "./statistics.ts";
import { pgType } from "./types.ts";

export const pgCatalogRows: ReadonlyMap<string, RelationRows> = new Map([
  ["pg_aggregate", pgAggregate],
  ["pg_am", generatedRelation("pg_am", ["oid", "amname"])],
  ["pg_amop", generatedRelation("pg_amop", ["oid", "amopfamily"])],
  ["pg_amproc", generatedRelation("pg_amproc", ["oid", "amprocfamily"])],
  ["pg_attrdef", pgAttrdef],
  ["pg_attribute", pgAttribute],
  ["pg_authid", pgAuthid],
  ["pg_available_extension_versions", pgAvailableExtensionVersions],
  ["pg_available_extensions", pgAvailableExtensions],
  ["pg_cast", generatedRelation("pg_cast", ["oid", "castsource"])],
  ["pg_class", pgClass],
  ["pg_collation", generatedRelation("pg_collation", ["oid"])],
  ["pg_constraint", pgConstraint],
  ["pg_conversion", generatedRelation("pg_conversion")],
  ["pg_database", pgDatabase],
  ["pg_depend", pgDepend],
  ["pg_description", pgDescription],
  ["pg_extension", pgExtension],
  ["pg_group", pgGroup],
  ["pg_index", pgIndex],
  ["pg_indexes", pgIndexes],
  ["pg_language", generatedRelation("pg_language")],
  ["pg_locks", pgLocks],
  ["pg_namespace", pgNamespace],
  ["pg_opclass", generatedRelation("pg_opclass")],
  ["pg_operator", generatedRelation("pg_operator", ["oid", "oprname"])],
  ["pg_opfamily", generatedRelation("pg_opfamily")],
  ["pg_proc", pgProc],
  ["pg_range", generatedRelation("pg_range", ["rngtypid"])],
  ["pg_roles", pgRoles],
  ["pg_sequence", pgSequence],
  ["pg_sequences", pgSequences],
  ["pg_settings", pgSettings],
  ["pg_shadow", pgShadow],
  ["pg_shdescription", pgShdescription],
  ["pg_stat_activity", pgStatActivity],
  ["pg_stat_all_indexes", pgStatUserIndexes],
  ["pg_stat_all_tables", pgStatUserTables],
  ["pg_stat_database", pgStatDatabase],
  ["pg_stat_progress_basebackup", pgStatProgressBasebackup],
  ["pg_stat_progress_create_index", pgStatProgressCreateIndex],
  ["pg_stat_progress_vacuum", pgStatProgressVacuum],
  ["pg_stat_user_indexes", pgStatUserIndexes],
  ["pg_stat_user_tables", pgStatUserTables],
  ["pg_statistic", pgStatistic],
  ["pg_stats", pgStats],
  ["pg_tables", pgTables],
  ["pg_tablespace", generatedRelation("pg_tablespace")],
  ["pg_timezone_abbrevs", pgTimezoneAbbrevs],
  ["pg_timezone_names", pgTimezoneNames],
  ["pg_ts_config", generatedRelation("pg_ts_config")],
  ["pg_ts_config_map", generatedRelation("pg_ts_config_map", ["mapcfg"])],
  ["pg_ts_dict", generatedRelation("pg_ts_dict")],
  ["pg_ts_parser", generatedRelation("pg_ts_parser")],
  ["pg_ts_template", generatedRelation("pg_ts_template")],
  ["pg_type", pgType],
  ["pg_user", pgUser],
  ["pg_views", pgViews],
]);
