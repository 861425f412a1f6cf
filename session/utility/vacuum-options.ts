// The options of VACUUM and ANALYZE, checked as PostgreSQL's ExecVacuum checks them. Those about pages, freezing, TOAST and
// parallel workers are read and have nothing to act on here: there are no pages, row versions are in memory, and a
// collection runs in the engine's pool.
import { SqlError, SqlState } from "../../common/error.ts";
import type { Node } from "../../parser/tree.ts";
import {
  booleanOption,
  type CommandOption,
  commandOptions,
  constantText,
  unrecognizedOption,
} from "./option-value.ts";

export interface VacuumOptions {
  readonly isVacuum: boolean;
  readonly analyzes: boolean;
  readonly isVerbose: boolean;
  readonly isFull: boolean;
  readonly skipsLocked: boolean;
}

const MAX_PARALLEL_WORKERS = 1024;
/** Boolean options of VACUUM alone. */
const FLAGS = new Set(["analyze", "freeze", "full", "disable_page_skipping", "process_toast", "truncate"]);

/** Errors: 42601, and 0A000 for what cannot go together. */
export function vacuumOptions(isVacuum: boolean, nodes: readonly Node[] | undefined): VacuumOptions {
  const flags = new Map<string, boolean>();
  let workers = 0;
  for (const option of commandOptions(nodes)) {
    const { name } = option;
    if (name === "verbose" || name === "skip_locked" || (isVacuum && FLAGS.has(name)))
      flags.set(name, booleanOption(option));
    else if (isVacuum && name === "index_cleanup") checkIndexCleanup(option);
    else if (isVacuum && name === "parallel") workers = parallelWorkers(option);
    else throw unrecognizedOption(isVacuum ? "VACUUM" : "ANALYZE", option);
  }
  const has = (name: string): boolean => flags.get(name) === true;
  if (has("full") && workers > 0) throw unsupported("VACUUM FULL cannot be performed in parallel");
  if (has("full") && has("disable_page_skipping"))
    throw unsupported("VACUUM option DISABLE_PAGE_SKIPPING cannot be used with FULL");
  if (has("full") && flags.get("process_toast") === false)
    throw unsupported("PROCESS_TOAST required with VACUUM FULL");
  return {
    isVacuum,
    analyzes: !isVacuum || has("analyze"),
    isVerbose: has("verbose"),
    isFull: has("full"),
    skipsLocked: has("skip_locked"),
  };
}

/** PostgreSQL's own words for what it does not support either. */
function unsupported(message: string): SqlError {
  return new SqlError(SqlState.featureNotSupported, message);
}

function checkIndexCleanup(option: CommandOption): void {
  if (constantText(option.arg)?.toLowerCase() !== "auto") booleanOption(option);
}

function parallelWorkers(option: CommandOption): number {
  const fails = (message: string): SqlError =>
    new SqlError(SqlState.syntaxError, message, { position: option.position || undefined });
  if (option.arg === undefined)
    throw fails(`parallel option requires a value between 0 and ${MAX_PARALLEL_WORKERS}`);
  const text = constantText(option.arg) ?? "";
  if (!/^[+-]?\d+$/.test(text))
    throw new SqlError(SqlState.syntaxError, "parallel requires an integer value");
  const workers = Number(text);
  if (workers < 0 || workers > MAX_PARALLEL_WORKERS)
    throw fails(`parallel workers for vacuum must be between 0 and ${MAX_PARALLEL_WORKERS}`);
  return workers;
}
