// The settings of one session: values with PostgreSQL's life spans. SET lasts for the session unless its transaction (or
// savepoint) is rolled back; SET LOCAL ends with the transaction. Every change leaves an undo record, so rolling back to a
// mark restores exactly what was there.
//
// Custom settings ("my.var") exist once set, as in PostgreSQL. Which values are right for the settings that shape printing
// (DateStyle, TimeZone, client_encoding) is checked in setting-checks.ts.
import { SqlError, SqlState } from "../common/error.ts";
import { checkSetting } from "./setting-checks.ts";
import {
  type SettingDefinition,
  reportedSettings,
  settingDefinition,
  settingDefinitions,
} from "./setting-definitions.ts";
import { readSetting, showSetting } from "./setting-values.ts";

interface Value {
  /** What holds for the session; undefined = not set by anybody. */
  readonly session: string | undefined;
  /** SET LOCAL of the running transaction. */
  readonly local: string | undefined;
}

interface UndoRecord {
  readonly key: string;
  readonly before: Value | undefined;
}

/** A session may make this many settings of its own: each is kept until it ends. */
const MAX_CUSTOM_SETTINGS = 1000;

export class Settings {
  /** Changes whenever any value may have changed: caches of derived values compare it. */
  version = 0;
  readonly #values = new Map<string, Value>();
  /** Values given with the connection: what RESET goes back to. */
  readonly #initial = new Map<string, string>();
  #undo: UndoRecord[] = [];
  #customCount = 0;
  #reported: Map<string, string> | undefined;

  /** A value from the startup packet or the server's configuration, under RESET's feet. Throws 22023, 42704, 55P02. */
  setInitial(name: string, text: string): void {
    const definition = this.#define(name);
    if (definition.context === "internal") throw cannotChange(definition.name);
    this.overrideInitial(name, checkSetting(definition, readSetting(definition, text)));
  }

  /** As setInitial for values of our own making, internal settings included. */
  overrideInitial(name: string, text: string): void {
    this.#initial.set(name.toLowerCase(), text);
    this.version += 1;
  }

  /** SET and SET LOCAL. Gives the new value as SHOW prints it. */
  set(name: string, text: string, isLocal: boolean): string {
    const definition = this.#define(name);
    checkChangeable(definition);
    const stored = checkSetting(definition, readSetting(definition, text));
    this.#write(definition.name.toLowerCase(), stored, isLocal);
    return showSetting(definition, stored);
  }

  /** RESET name, SET name TO DEFAULT. */
  reset(name: string, isLocal: boolean): void {
    const definition = settingDefinition(name) ?? this.#custom(name);
    if (definition === undefined) throw unrecognized(name);
    checkChangeable(definition);
    const key = definition.name.toLowerCase();
    // As if it had never been chosen; a custom setting exists only by its value.
    if (!isLocal && settingDefinition(name) !== undefined)
      this.#put(key, { session: undefined, local: undefined });
    else this.#write(key, this.#initial.get(key) ?? definition.initial, isLocal);
  }

  resetAll(): void {
    for (const [key, value] of this.#values) {
      if (settingDefinition(key)?.isKeptByResetAll === true || value === undefined) continue;
      this.reset(key, false);
    }
  }

  /** SHOW and current_setting; undefined = no such setting. */
  show(name: string): string | undefined {
    const definition = settingDefinition(name);
    const stored = this.get(name);
    return definition === undefined || stored === undefined ? stored : showSetting(definition, stored);
  }

  /** The stored text: numbers in base units. */
  get(name: string): string | undefined {
    const key = name.toLowerCase();
    const value = this.#values.get(key);
    return value?.local ?? value?.session ?? this.#initial.get(key) ?? settingDefinition(key)?.initial;
  }

  isOn(name: string): boolean {
    return this.get(name) === "on";
  }

  number(name: string): number {
    return Number(this.get(name));
  }

  /** True once the user (or the connection) has chosen a value. */
  isSetByUser(name: string): boolean {
    const value = this.#values.get(name.toLowerCase());
    return (value?.local ?? value?.session) !== undefined || this.#initial.has(name.toLowerCase());
  }

  /** Names and values as SHOW ALL lists them. */
  *all(): Iterable<readonly [SettingDefinition, string]> {
    for (const definition of settingDefinitions()) {
      if (!definition.isHidden) yield [definition, this.show(definition.name) ?? ""];
    }
  }

  // Transactions

  /** Where a rollback goes back to. */
  mark(): number {
    return this.#undo.length;
  }

  /** Undoes everything since the mark. */
  rollbackTo(mark: number): void {
    if (this.#undo.length === mark) return;
    for (const { key, before } of this.#undo.splice(mark).reverse()) {
      if (before === undefined) this.#values.delete(key);
      else this.#values.set(key, before);
    }
    this.version += 1;
  }

  /** Ends the transaction: SET LOCAL values end with it. */
  commit(): void {
    if (this.#undo.length === 0) return;
    this.#undo = [];
    for (const [key, value] of this.#values) {
      if (value.local !== undefined) this.#values.set(key, { session: value.session, local: undefined });
    }
    this.version += 1;
  }

  // Reports

  /** All reported settings, for the greeting. */
  *greeting(): Iterable<readonly [string, string]> {
    this.#reported = new Map();
    for (const definition of reportedSettings()) {
      const value = this.show(definition.name) ?? "";
      this.#reported.set(definition.name, value);
      yield [definition.name, value];
    }
    this.#reportedVersion = this.version;
  }

  #reportedVersion = 0;

  /** Something was set since the client was told. */
  get mayHaveChanges(): boolean {
    return this.#reportedVersion !== this.version;
  }

  /** Reported settings whose value is no longer what the client was told. */
  *changes(): Iterable<readonly [string, string]> {
    if (this.#reported === undefined || this.#reportedVersion === this.version) return;
    this.#reportedVersion = this.version;
    for (const [name, told] of this.#reported) {
      const value = this.show(name) ?? "";
      if (value === told) continue;
      this.#reported.set(name, value);
      yield [name, value];
    }
  }

  #write(key: string, stored: string, isLocal: boolean): void {
    const session = isLocal ? this.#values.get(key)?.session : stored;
    this.#put(key, { session, local: isLocal ? stored : undefined });
  }

  #put(key: string, value: Value): void {
    this.#undo.push({ key, before: this.#values.get(key) });
    this.#values.set(key, value);
    this.version += 1;
  }

  /** The definition of a setting that is about to get a value; a dotted name makes a custom one. */
  #define(name: string): SettingDefinition {
    const known = settingDefinition(name) ?? this.#custom(name);
    if (known !== undefined) return known;
    if (!/^[A-Za-z_][\w$]*(\.[A-Za-z_][\w$]*)+$/.test(name)) throw unrecognized(name);
    const prefix = name.slice(0, name.indexOf(".")).toLowerCase();
    if (prefix === "omendb" || prefix === "hnsw" || prefix === "ivfflat") {
      throw new SqlError(SqlState.invalidName, `invalid configuration parameter name "${name}"`, {
        detail: `"${prefix}" is a reserved prefix.`,
      });
    }
    this.#customCount += 1;
    if (this.#customCount > MAX_CUSTOM_SETTINGS) {
      throw new SqlError(SqlState.configurationLimitExceeded, "too many settings of its own in this session");
    }
    return customDefinition(name);
  }

  #custom(name: string): SettingDefinition | undefined {
    return this.get(name) === undefined ? undefined : customDefinition(name);
  }
}

function customDefinition(name: string): SettingDefinition {
  return {
    name,
    type: "string",
    context: "user",
    unit: undefined,
    min: 0,
    max: 0,
    enumValues: [],
    initial: "",
    description: "",
    isReported: false,
    isNameList: false,
    isKeptByResetAll: false,
    isHidden: false,
  };
}

export function unrecognized(name: string): SqlError {
  return new SqlError(SqlState.undefinedObject, `unrecognized configuration parameter "${name}"`);
}

function checkChangeable(definition: SettingDefinition): void {
  switch (definition.context) {
    case "user":
    case "superuser":
      return;
    case "internal":
      throw cannotChange(definition.name);
    case "postmaster":
      throw new SqlError(
        SqlState.cantChangeRuntimeParam,
        `parameter "${definition.name}" cannot be changed without restarting the server`,
      );
    case "sighup":
      throw new SqlError(
        SqlState.cantChangeRuntimeParam,
        `parameter "${definition.name}" cannot be changed now`,
      );
    default:
      throw new SqlError(
        SqlState.cantChangeRuntimeParam,
        `parameter "${definition.name}" cannot be set after connection start`,
      );
  }
}

function cannotChange(name: string): SqlError {
  return new SqlError(SqlState.cantChangeRuntimeParam, `parameter "${name}" cannot be changed`);
}
