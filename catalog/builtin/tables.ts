// The system tables whose rows are known beforehand: PostgreSQL 15's generated rows plus the product's own, opened when
// first asked for and then kept. Constant data, so sharing it within a thread is no hidden state.
import { pgAggregate } from "../generated/pg-aggregate.ts";
import { pgAm } from "../generated/pg-am.ts";
import { pgAmop } from "../generated/pg-amop.ts";
import { pgAmproc } from "../generated/pg-amproc.ts";
import { pgCast } from "../generated/pg-cast.ts";
import { pgCollation } from "../generated/pg-collation.ts";
import { pgConversion } from "../generated/pg-conversion.ts";
import { pgDescription } from "../generated/pg-description.ts";
import { pgKeywords } from "../generated/pg-keywords.ts";
import { pgLanguage } from "../generated/pg-language.ts";
import { pgOpclass } from "../generated/pg-opclass.ts";
import { pgOperator } from "../generated/pg-operator.ts";
import { pgOpfamily } from "../generated/pg-opfamily.ts";
import { pgProc } from "../generated/pg-proc.ts";
import { pgRange } from "../generated/pg-range.ts";
import { pgSettings } from "../generated/pg-settings.ts";
import { pgShdescription } from "../generated/pg-shdescription.ts";
import { pgTablespace } from "../generated/pg-tablespace.ts";
import { pgTimezoneAbbrevs } from "../generated/pg-timezone-abbrevs.ts";
import { pgTsConfigMap } from "../generated/pg-ts-config-map.ts";
import { pgTsConfig } from "../generated/pg-ts-config.ts";
import { pgTsDict } from "../generated/pg-ts-dict.ts";
import { pgTsParser } from "../generated/pg-ts-parser.ts";
import { pgTsTemplate } from "../generated/pg-ts-template.ts";
import { pgType } from "../generated/pg-type.ts";
import { systemRelations } from "../generated/system-relations.ts";
import { GeneratedTable, type OwnRow } from "./generated-table.ts";
import { OWN_AGGREGATES, OWN_FUNCTIONS } from "./own-functions.ts";
import {
  OWN_ACCESS_METHODS,
  OWN_DESCRIPTIONS,
  OWN_OPERATOR_CLASSES,
  OWN_OPERATOR_FAMILIES,
  OWN_OPERATOR_MEMBERS,
  OWN_SUPPORT_FUNCTIONS,
} from "./own-operator-classes.ts";
import { OWN_OPERATORS } from "./own-operators.ts";
import { OWN_CASTS, OWN_TYPES } from "./own-types.ts";

const SOURCES = {
  pg_aggregate: [pgAggregate, OWN_AGGREGATES],
  pg_am: [pgAm, OWN_ACCESS_METHODS],
  pg_amop: [pgAmop, OWN_OPERATOR_MEMBERS],
  pg_amproc: [pgAmproc, OWN_SUPPORT_FUNCTIONS],
  pg_cast: [pgCast, OWN_CASTS],
  pg_collation: [pgCollation, []],
  pg_conversion: [pgConversion, []],
  pg_description: [pgDescription, OWN_DESCRIPTIONS],
  pg_keywords: [pgKeywords, []],
  pg_language: [pgLanguage, []],
  pg_opclass: [pgOpclass, OWN_OPERATOR_CLASSES],
  pg_operator: [pgOperator, OWN_OPERATORS],
  pg_opfamily: [pgOpfamily, OWN_OPERATOR_FAMILIES],
  pg_proc: [pgProc, OWN_FUNCTIONS],
  pg_range: [pgRange, []],
  pg_settings: [pgSettings, []],
  pg_shdescription: [pgShdescription, []],
  pg_tablespace: [pgTablespace, []],
  pg_timezone_abbrevs: [pgTimezoneAbbrevs, []],
  pg_ts_config: [pgTsConfig, []],
  pg_ts_config_map: [pgTsConfigMap, []],
  pg_ts_dict: [pgTsDict, []],
  pg_ts_parser: [pgTsParser, []],
  pg_ts_template: [pgTsTemplate, []],
  pg_type: [pgType, OWN_TYPES],
  system_relations: [systemRelations, []],
} as const satisfies Record<string, readonly [string, readonly OwnRow[]]>;

export type GeneratedName = keyof typeof SOURCES;

const opened = new Map<GeneratedName, GeneratedTable>();
const grouped = new Map<string, Map<string, number[]>>();

/** The known rows of a system table. */
export function generatedTable(name: GeneratedName): GeneratedTable {
  let table = opened.get(name);
  if (table === undefined) {
    const [text, own] = SOURCES[name];
    table = new GeneratedTable(text, own);
    opened.set(name, table);
  }
  return table;
}

/** Row numbers by the text of one column; the map is made once. */
export function rowsBy(name: GeneratedName, column: string, value: string): readonly number[] {
  const key = `${name}.${column}`;
  let groups = grouped.get(key);
  if (groups === undefined) {
    groups = generatedTable(name).groupBy(column);
    grouped.set(key, groups);
  }
  return groups.get(value) ?? [];
}
