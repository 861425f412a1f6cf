// Aggregates over short lists, as [name, element type, values]; the empty list and NULLs are among them.
const INTEGERS = ["{}", "{NULL}", "{1}", "{1,2,3,4}", "{5,NULL,-7,5}", "{0,0,0}"];
const FLOATS = [
  "{}",
  "{1.5}",
  "{1,2,4.5,-3}",
  "{1e308,1e308}",
  "{NaN,1}",
  "{Infinity,1}",
  "{Infinity,-Infinity}",
  "{0.1,0.2,0.3}",
];
const NUMERICS = [
  "{}",
  "{1.50}",
  "{1,2,4.5,-3}",
  "{NaN,1}",
  "{Infinity,1}",
  "{1.000,1.0}",
  "{0.1,0.20,NULL,0.3}",
  "{12345678901234567890.12,1}",
];
const STATISTICS = ["variance", "var_pop", "stddev", "stddev_pop", "stddev_samp", "var_samp"];

export const AGGREGATE_CALLS: readonly (readonly [string, string, string])[] = [
  ...["int2", "int4", "int8"].flatMap((type) =>
    ["sum", "avg", "min", "max", "count", "bit_and", "bit_or", "bit_xor", ...STATISTICS].flatMap((name) =>
      INTEGERS.map((values) => [name, type, values] as const),
    ),
  ),
  ["sum", "int8", "{9223372036854775807,9223372036854775807}"],
  ["avg", "int8", "{9223372036854775807,9223372036854775806}"],
  ["sum", "int4", "{2147483647,2147483647,2147483647}"],
  ...["float4", "float8"].flatMap((type) =>
    ["sum", "avg", "min", "max", "count", ...STATISTICS].flatMap((name) =>
      FLOATS.map(
        (values) => [name, type, values.replaceAll("1e308", type === "float4" ? "3e38" : "1e308")] as const,
      ),
    ),
  ),
  ...["sum", "avg", "min", "max", "count", ...STATISTICS].flatMap((name) =>
    NUMERICS.map((values) => [name, "numeric", values] as const),
  ),
  ...["sum", "avg", "min", "max"].flatMap((name) =>
    ["{}", "{1 day,2 mons,-03:00:00}", "{1 mon 15 days,1 mon,NULL}"].map(
      (values) => [name, "interval", values] as const,
    ),
  ),
  ...["min", "max"].flatMap((name) =>
    [
      ["text", "{b,a,é,NULL,B}"],
      ["date", "{2000-01-01,infinity,1999-01-01}"],
      ["timestamp", "{2000-01-01,1999-01-01}"],
      ["bpchar", "{ab,aa}"],
    ].map(([type, values]) => [name, type, values] as readonly [string, string, string]),
  ),
  ...["bool_and", "bool_or", "every"].flatMap((name) =>
    ["{}", "{t,f}", "{t,NULL}", "{f}"].map((values) => [name, "bool", values] as const),
  ),
  ...["array_agg", "json_agg", "jsonb_agg"].flatMap((name) => [
    [name, "int4", "{1,NULL,3}"] as const,
    [name, "text", '{a,"b \\"c",NULL}'] as const,
    [name, "numeric", "{}"] as const,
    [name, "float8", "{1.5,NaN}"] as const,
    [name, "timestamptz", "{2024-07-04 12:00:00+00}"] as const,
  ]),
];
