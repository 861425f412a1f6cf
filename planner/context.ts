// What the planner is given for one statement. Plain data and pure interfaces: plan tests make it up.
import type { CatalogSnapshot } from "../catalog/catalog.ts";
import type { IndexEntry } from "../catalog/entries.ts";
import type { FunctionContext } from "../common/function-context.ts";
import type { Datum } from "../common/types/type.ts";

export interface PlannerSettings {
  readonly enableSeqscan: boolean;
  readonly enableIndexscan: boolean;
  readonly enableBitmapscan: boolean;
  readonly enableHashjoin: boolean;
  readonly enableNestloop: boolean;
  readonly enableSort: boolean;
  /** omendb.exact: kNN, BM25 and fusion by full evaluation whatever the indexes. */
  readonly exact: boolean;
  /** hnsw.ef_search where the user has set it. */
  readonly efSearch: number | undefined;
}

export const DEFAULT_SETTINGS: PlannerSettings = {
  enableSeqscan: true,
  enableIndexscan: true,
  enableBitmapscan: true,
  enableHashjoin: true,
  enableNestloop: true,
  enableSort: true,
  exact: false,
  efSearch: undefined,
};

export interface PlannerContext {
  readonly catalog: CatalogSnapshot;
  /** Schema names, implicit ones in place. */
  readonly searchPath: readonly string[];
  /** Declared parameter types by position; 0 = infer. */
  readonly parameterTypes: readonly number[];
  /** Values at hand, by position: used for estimates only, never kept in the plan. */
  readonly parameterValues?: readonly (Datum | undefined)[] | undefined;
  readonly settings: PlannerSettings;
  /** Folding of immutable functions and input conversion of literals. */
  readonly functionContext: FunctionContext;
  /** Live row count of a relation in the engine; undefined = unknown (then statistics, then a default). */
  readonly rowCount: (storageId: number) => number | undefined;
  /** Whether the transaction may read by the index: not when the index is younger than its snapshot. Absent = all. */
  readonly isReadable?: ((index: IndexEntry) => boolean) | undefined;
}

/** The indexes of a table that a plan may read by. Rules about what is unique go by all indexes instead. */
export function readableIndexes(planner: PlannerContext, tableOid: number): readonly IndexEntry[] {
  const indexes = planner.catalog.indexesOf(tableOid);
  return planner.isReadable === undefined ? indexes : indexes.filter(planner.isReadable);
}
