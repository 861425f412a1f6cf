// The settings that PostgreSQL has not, as pg_settings shows them. What a session does with them is the session's affair.

interface OwnSetting {
  readonly name: string;
  readonly vartype: "bool" | "integer" | "real" | "enum";
  readonly value: string;
  readonly description: string;
  readonly detail?: string;
  /** Smallest and largest value. */
  readonly range?: readonly [string, string];
  readonly enumValues?: readonly string[];
}

/** The product's, then pgvector's with its descriptions. */
export const OWN_SETTINGS: readonly OwnSetting[] = [
  {
    name: "omendb.exact",
    vartype: "bool",
    value: "off",
    description: "Answers kNN, BM25 and fused queries exactly, whatever the plan",
  },
  {
    name: "hnsw.ef_search",
    vartype: "integer",
    value: "40",
    description: "Sets the size of the dynamic candidate list for search",
    detail: "Valid range is 1..1000.",
    range: ["1", "1000"],
  },
  {
    name: "hnsw.target_recall",
    vartype: "real",
    value: "0",
    description: "Recall that searches aim at, in place of a size of the candidate list; 0 is off",
    range: ["0", "1"],
  },
  {
    name: "hnsw.iterative_scan",
    vartype: "enum",
    value: "off",
    description: "Sets the mode for iterative scans",
    enumValues: ["off", "relaxed_order", "strict_order"],
  },
  {
    name: "hnsw.max_scan_tuples",
    vartype: "integer",
    value: "20000",
    description: "Sets the max number of tuples to visit for iterative scans",
    range: ["1", "2147483647"],
  },
  {
    name: "hnsw.scan_mem_multiplier",
    vartype: "real",
    value: "1",
    description: "Sets the multiple of work_mem to use for iterative scans",
    range: ["1", "1000"],
  },
  {
    name: "ivfflat.probes",
    vartype: "integer",
    value: "1",
    description: "Sets the number of probes",
    detail: "Valid range is 1..lists.",
    range: ["1", "32768"],
  },
  {
    name: "ivfflat.iterative_scan",
    vartype: "enum",
    value: "off",
    description: "Sets the mode for iterative scans",
    enumValues: ["off", "relaxed_order"],
  },
  {
    name: "ivfflat.max_probes",
    vartype: "integer",
    value: "32768",
    description: "Sets the max number of probes for iterative scans",
    range: ["1", "32768"],
  },
];
