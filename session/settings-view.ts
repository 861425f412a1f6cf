// Settings in the forms other parts read on every statement, kept until a setting changes.
import type { RegNames, TypeContext } from "../common/types/type.ts";
import type { ExecutionSettings } from "../executor/context.ts";
import type { PlannerSettings } from "../planner/context.ts";
import { zoneOfSetting } from "./setting-checks.ts";
import type { Settings } from "./settings.ts";

type DateStyle = TypeContext["dateStyle"];

interface Views {
  readonly version: number;
  readonly types: TypeContext;
  readonly planner: PlannerSettings;
  readonly execution: ExecutionSettings;
  readonly planKey: string;
  readonly statementTimeoutMs: number;
  readonly commitsAsynchronously: boolean;
}

/** Settings that shape how a literal in a statement is read when it is planned. */
const LITERAL_SETTINGS = [
  "DateStyle",
  "IntervalStyle",
  "TimeZone",
  "extra_float_digits",
  "bytea_output",
  "search_path",
];

export class SettingsView {
  readonly #settings: Settings;
  readonly #now: () => number;
  readonly #names: RegNames;
  #views: Views | undefined;

  /** `now`: start of the transaction; `names`: how reg* types find objects. */
  constructor(settings: Settings, now: () => number, names: RegNames) {
    this.#settings = settings;
    this.#now = now;
    this.#names = names;
  }

  get types(): TypeContext {
    return this.#current().types;
  }

  get planner(): PlannerSettings {
    return this.#current().planner;
  }

  /** The part of a plan's cache key that stands for settings. */
  get planKey(): string {
    return this.#current().planKey;
  }

  /** 0 = none. */
  get statementTimeoutMs(): number {
    return this.#current().statementTimeoutMs;
  }

  /** synchronous_commit is off: a commit need not wait for the disk. */
  get commitsAsynchronously(): boolean {
    return this.#current().commitsAsynchronously;
  }

  get execution(): ExecutionSettings {
    return this.#current().execution;
  }

  #current(): Views {
    if (this.#views?.version !== this.#settings.version) {
      const planner = this.#planner();
      this.#views = {
        version: this.#settings.version,
        types: this.#types(),
        planner,
        execution: this.#execution(),
        statementTimeoutMs: this.#settings.number("statement_timeout"),
        commitsAsynchronously: this.#settings.get("synchronous_commit") === "off",
        planKey: JSON.stringify([planner, ...LITERAL_SETTINGS.map((name) => this.#settings.get(name))]),
      };
    }
    return this.#views;
  }

  #types(): TypeContext {
    const [format = "ISO", order = "MDY"] = (this.#settings.get("DateStyle") ?? "").split(", ");
    return {
      dateStyle: { format: format as DateStyle["format"], order: order as DateStyle["order"] },
      intervalStyle: (this.#settings.get("IntervalStyle") ?? "postgres") as TypeContext["intervalStyle"],
      timeZone: zoneOfSetting(this.#settings.get("TimeZone") ?? "UTC"),
      extraFloatDigits: this.#settings.number("extra_float_digits"),
      byteaOutput: this.#settings.get("bytea_output") === "escape" ? "escape" : "hex",
      now: this.#now,
      names: this.#names,
    };
  }

  #planner(): PlannerSettings {
    const on = (name: string): boolean => this.#settings.isOn(name);
    return {
      enableSeqscan: on("enable_seqscan"),
      enableIndexscan: on("enable_indexscan"),
      enableBitmapscan: on("enable_bitmapscan"),
      enableHashjoin: on("enable_hashjoin"),
      enableNestloop: on("enable_nestloop"),
      enableSort: on("enable_sort"),
      exact: on("omendb.exact"),
      efSearch: this.#efSearch(),
    };
  }

  #execution(): ExecutionSettings {
    return {
      exact: this.#settings.isOn("omendb.exact"),
      efSearch: this.#efSearch(),
      targetRecall: this.#settings.number("hnsw.target_recall") || undefined,
      maxScanTuples: this.#maxScanTuples(),
      enableIndexscan: this.#settings.isOn("enable_indexscan"),
      workMemBytes: this.#settings.number("work_mem") * 1024,
    };
  }

  /** pgvector's default bounds scans that have no other end; ours end, so only a value the user chose bounds them. */
  #maxScanTuples(): number | undefined {
    const isOn = this.#settings.get("hnsw.iterative_scan") !== "off";
    return isOn && this.#settings.isSetByUser("hnsw.max_scan_tuples")
      ? this.#settings.number("hnsw.max_scan_tuples")
      : undefined;
  }

  /** pgvector's default is shown, but only a value the user chose is obeyed: the index knows better. */
  #efSearch(): number | undefined {
    return this.#settings.isSetByUser("hnsw.ef_search") ? this.#settings.number("hnsw.ef_search") : undefined;
  }
}
