// The product's own settings as pg_settings shows them. What a session does with them is the session's affair.

interface OwnSetting {
  readonly [column: string]: string | null;
  readonly name: string;
}

function setting(
  name: string,
  vartype: string,
  value: string,
  short: string,
  range: readonly [string, string] | undefined,
): OwnSetting {
  return {
    name,
    setting: value,
    category: "Customized Options",
    short_desc: short,
    context: "user",
    vartype,
    source: "default",
    min_val: range?.[0] ?? null,
    max_val: range?.[1] ?? null,
    boot_val: value,
    reset_val: value,
  };
}

export const OWN_SETTINGS: readonly OwnSetting[] = [
  setting("hnsw.ef_search", "integer", "40", "Sets the size of the dynamic candidate list for search", [
    "1",
    "1000",
  ]),
  setting(
    "omendb.exact",
    "bool",
    "off",
    "Answers kNN, BM25 and fused queries exactly, whatever the plan",
    undefined,
  ),
];
