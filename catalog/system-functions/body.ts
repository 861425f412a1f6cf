// How the bodies here are written: a name scope out of the call's context, and short forms for the shapes that recur.
import { must } from "../../common/assert.ts";
import type { Datum } from "../../common/types/type.ts";
import type { CatalogSnapshot, EngineStatistics } from "../catalog.ts";
import type { NameScope } from "../deparse/identifier.ts";
import type { FunctionBody, FunctionCall } from "../functions/function.ts";

/** One body by its key. */
export type BodyEntry = readonly [string, FunctionBody];

export function snapshotOf(call: FunctionCall): CatalogSnapshot {
  // common/function-context.ts cannot name the catalogue's type; the session puts nothing else there.
  return call.context.catalog.snapshot as CatalogSnapshot;
}

export function statisticsOf(call: FunctionCall): EngineStatistics {
  return must(
    call.context.catalog.statistics,
    "engine statistics in the function context",
  ) as EngineStatistics;
}

export function scopeOf(call: FunctionCall): NameScope {
  return { catalog: snapshotOf(call), searchPath: call.context.catalog.searchPath(true) };
}

/** A scalar body; undefined results become NULL. */
export function scalar(
  source: string,
  row: (args: readonly Datum[], call: FunctionCall) => Datum | undefined,
): BodyEntry {
  return [source, { kind: "scalar", row: (args, call) => row(args, call) ?? null }];
}

/** Bodies for functions about objects that cannot exist here (rules, triggers, partitions ...): NULL, as for an unknown oid. */
export function alwaysNull(...sources: readonly string[]): BodyEntry[] {
  return sources.map((source) => scalar(source, () => null));
}
