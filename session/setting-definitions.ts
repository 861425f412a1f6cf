// Which settings exist: PostgreSQL 15's own (generated from its pg_settings), the few it hides there, and ours. A definition
// says type, range and who may change it; setting-values.ts reads values by it, settings.ts keeps them for a session.
//
// Most of PostgreSQL's settings speak of machinery that is not here (autovacuum, WAL levels). They can be set and shown, as
// pg_dump and drivers do, and change nothing; whatever would change a result is either honoured or refused.
import { must } from "../common/assert.ts";
import { generatedTable } from "../catalog/builtin/tables.ts";

export type SettingType = "bool" | "integer" | "real" | "string" | "enum";

export interface SettingDefinition {
  /** As SHOW prints it ("DateStyle"); looked up without regard to case. */
  readonly name: string;
  readonly type: SettingType;
  /** pg_settings.context: user and superuser settings can be SET. */
  readonly context: string;
  /** "kB", "8kB", "ms", "s", "min", "B", "MB" or undefined. */
  readonly unit: string | undefined;
  readonly min: number;
  readonly max: number;
  readonly enumValues: readonly string[];
  /** Value at session start, in canonical text. */
  readonly initial: string;
  /** Told to the client at start and at every change. */
  readonly isReported: boolean;
  /** Lists of identifiers (search_path): SET quotes each element. */
  readonly isNameList: boolean;
  /** pg_settings.short_desc. */
  readonly description: string;
  /** Left out of RESET ALL. */
  readonly isKeptByResetAll: boolean;
  /** Left out of SHOW ALL and pg_settings. */
  readonly isHidden: boolean;
}

/** PostgreSQL's GUC_REPORT settings, in the order in which it sends them. */
const REPORTED = [
  "application_name",
  "client_encoding",
  "DateStyle",
  "default_transaction_read_only",
  "in_hot_standby",
  "integer_datetimes",
  "IntervalStyle",
  "is_superuser",
  "server_encoding",
  "server_version",
  "session_authorization",
  "standard_conforming_strings",
  "TimeZone",
];

const NAME_LISTS = new Set([
  "search_path",
  "temp_tablespaces",
  "local_preload_libraries",
  "session_preload_libraries",
]);
const HIDDEN_NAMES = new Set(["is_superuser", "role", "session_authorization", "seed"]);
const KEPT_BY_RESET_ALL = new Set([
  "role",
  "session_authorization",
  "is_superuser",
  "transaction_isolation",
  "transaction_read_only",
  "transaction_deferrable",
]);

export const SERVER_VERSION = "15.20";
export const SERVER_VERSION_NUMBER = 150020;

/** Values that differ from what the generating server had. */
const INITIAL: Readonly<Record<string, string>> = {
  application_name: "",
  client_encoding: "UTF8",
  data_directory: "",
  fsync: "on",
  hba_file: "",
  ident_file: "",
  config_file: "",
  lc_collate: "C.UTF-8",
  lc_ctype: "C.UTF-8",
  lc_messages: "C.UTF-8",
  lc_monetary: "C.UTF-8",
  lc_numeric: "C.UTF-8",
  lc_time: "C.UTF-8",
  log_timezone: "Etc/UTC",
  server_encoding: "UTF8",
  server_version: SERVER_VERSION,
  server_version_num: String(SERVER_VERSION_NUMBER),
  TimeZone: "Etc/UTC",
  timezone_abbreviations: "Default",
  jit: "off",
  max_connections: "1000",
  ssl: "off",
};

type Own = Partial<Omit<SettingDefinition, "name" | "type">>;

function define(name: string, type: SettingType, own: Own): SettingDefinition {
  return {
    name,
    type,
    context: "user",
    unit: undefined,
    min: Number.NEGATIVE_INFINITY,
    max: Number.POSITIVE_INFINITY,
    enumValues: [],
    initial: "",
    description: "",
    isReported: REPORTED.includes(name),
    isNameList: NAME_LISTS.has(name),
    isKeptByResetAll: KEPT_BY_RESET_ALL.has(name),
    isHidden: HIDDEN_NAMES.has(name),
    ...own,
  };
}

/** PostgreSQL keeps these out of pg_settings, yet SET and SHOW know them. */
const HIDDEN: readonly SettingDefinition[] = [
  define("is_superuser", "bool", { context: "internal", initial: "on" }),
  define("role", "string", { initial: "none" }),
  define("session_authorization", "string", { initial: "" }),
  define("transaction_isolation", "enum", {
    enumValues: ["serializable", "repeatable read", "read committed", "read uncommitted"],
    initial: "read committed",
  }),
  define("transaction_read_only", "bool", { initial: "off" }),
  define("transaction_deferrable", "bool", { initial: "off" }),
  define("seed", "real", { min: -1, max: 1, initial: "unavailable" }),
];

/** Ours and pgvector's. */
const OWN: readonly SettingDefinition[] = [
  define("omendb.exact", "bool", { initial: "off" }),
  define("hnsw.ef_search", "integer", { min: 1, max: 1000, initial: "40" }),
  define("hnsw.target_recall", "real", { min: 0, max: 1, initial: "0" }),
  define("hnsw.iterative_scan", "enum", {
    enumValues: ["off", "relaxed_order", "strict_order"],
    initial: "off",
  }),
  define("hnsw.max_scan_tuples", "integer", { min: 1, max: 2147483647, initial: "20000" }),
  define("hnsw.scan_mem_multiplier", "real", { min: 1, max: 1000, initial: "1" }),
  define("ivfflat.probes", "integer", { min: 1, max: 32768, initial: "1" }),
  define("ivfflat.iterative_scan", "enum", { enumValues: ["off", "relaxed_order"], initial: "off" }),
  define("ivfflat.max_probes", "integer", { min: 1, max: 32768, initial: "32768" }),
];

/** Values the server was started with, by name, in canonical text. Once per thread, before the first session. */
export function setServerSettings(values: ReadonlyMap<string, string>): void {
  for (const [name, initial] of values) {
    const definition = must(settingDefinition(name), "a setting of the server");
    byName.set(name.toLowerCase(), { ...definition, initial });
  }
}

const byName = new Map<string, SettingDefinition>();

/** The definition of a setting, whatever the case of its name. */
export function settingDefinition(name: string): SettingDefinition | undefined {
  return definitions().get(name.toLowerCase());
}

export function settingDefinitions(): Iterable<SettingDefinition> {
  return definitions().values();
}

/** Reported settings in PostgreSQL's order. */
export function reportedSettings(): readonly SettingDefinition[] {
  return REPORTED.flatMap((name) => settingDefinition(name) ?? []);
}

function definitions(): ReadonlyMap<string, SettingDefinition> {
  if (byName.size === 0) {
    for (const definition of [...generated(), ...HIDDEN, ...OWN])
      byName.set(definition.name.toLowerCase(), definition);
  }
  return byName;
}

function* generated(): Iterable<SettingDefinition> {
  const table = generatedTable("pg_settings");
  const at = (column: string): number => table.position(column);
  const [name, type, context, unit] = [at("name"), at("vartype"), at("context"), at("unit")];
  const [min, max, values, boot] = [at("min_val"), at("max_val"), at("enumvals"), at("boot_val")];
  const description = at("short_desc");
  for (let row = 0; row < table.rowCount; row++) {
    const field = (position: number): string | null => table.field(row, position);
    const settingName = field(name) ?? "";
    const numberOf = (text: string | null, otherwise: number): number =>
      text === null ? otherwise : Number(text);
    yield define(settingName, (field(type) ?? "string") as SettingType, {
      context: field(context) ?? "internal",
      unit: field(unit) ?? undefined,
      min: numberOf(field(min), Number.NEGATIVE_INFINITY),
      max: numberOf(field(max), Number.POSITIVE_INFINITY),
      enumValues: enumValues(field(values)),
      description: field(description) ?? "",
      initial: INITIAL[settingName] ?? field(boot) ?? "",
    });
  }
}

/** {a,"b c"} */
function enumValues(text: string | null): readonly string[] {
  if (text === null) return [];
  return Array.from(text.slice(1, -1).matchAll(/"([^"]*)"|([^,]+)/g), (match) => match[1] ?? match[2] ?? "");
}
