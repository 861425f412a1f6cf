// Which calls are recorded from PostgreSQL: for every function with a body here, some argument combinations out of sample values
// of each type. Seeded, so that re-recording changes only what changed.
import { functionSources } from "../../catalog/functions/registry.ts";

/** Samples by typname: limits, NULL-like texts, quotes, characters outside ASCII and outside the basic plane. */
export const SAMPLES: Readonly<Record<string, readonly string[]>> = {
  bool: ["t", "f"],
  int2: ["0", "1", "-1", "7", "32767", "-32768", "100"],
  int4: ["0", "1", "-1", "3", "10", "2147483647", "-2147483648", "65", "2", "-5"],
  int8: [
    "0",
    "1",
    "-1",
    "42",
    "9007199254740991",
    "9007199254740993",
    "9223372036854775807",
    "-9223372036854775808",
    "1000000",
  ],
  oid: ["0", "23", "4294967295"],
  xid: ["3", "4294967295"],
  cid: ["0", "5"],
  tid: ["(0,1)", "(7,3)"],
  float4: ["0", "1.5", "-2.25", "3.4e38", "1e-40", "NaN", "Infinity", "0.1"],
  float8: [
    "0",
    "1",
    "-1",
    "0.5",
    "2.5",
    "-3.75",
    "1e308",
    "1e-300",
    "NaN",
    "Infinity",
    "-Infinity",
    "30",
    "123456.789",
  ],
  numeric: [
    "0",
    "1",
    "-1.5",
    "0.001",
    "123456789.123456789",
    "1e20",
    "2.50",
    "NaN",
    "Infinity",
    "-Infinity",
    "10",
    "3",
    "7.77",
    "99999.99",
  ],
  text: [
    "",
    "abc",
    "ABC def",
    "héllo wörld",
    "😀x",
    "a,b,c",
    "%b_",
    "it's",
    "a\\b",
    "xyz",
    "12",
    "  pad  ",
    "a.b",
    "hex",
    "day",
    "UTC",
    "NFC",
  ],
  varchar: ["", "abc", "abc  "],
  bpchar: ["", "ab  ", "abc"],
  name: ["abc", "pg_class", "Abc"],
  char: ["a", "", "\\301"],
  bytea: ["\\x", "\\x00ff10", "abc", "\\x6162"],
  date: ["2000-01-01", "1999-12-31", "2024-02-29", "infinity", "-infinity", "0044-03-15 BC", "1970-01-01"],
  time: ["00:00:00", "12:34:56.789", "23:59:59.999999", "24:00:00"],
  timestamp: [
    "2000-01-01 00:00:00",
    "2024-02-29 13:14:15.161718",
    "1999-12-31 23:59:59.5",
    "infinity",
    "-infinity",
    "0044-03-15 10:00 BC",
    "1900-06-15 01:02:03",
  ],
  timestamptz: [
    "2000-01-01 00:00:00+00",
    "2024-03-10 07:30:00+00",
    "2024-11-03 06:30:00+00",
    "infinity",
    "1999-12-31 23:59:59.5+00",
    "2024-07-04 12:00:00+00",
  ],
  interval: [
    "0",
    "1 day",
    "1 mon",
    "-1 day 02:00:00",
    "1 year 2 mons 3 days 04:05:06.789",
    "-3 mons",
    "36:00:00",
    "00:00:01.5",
    "30 days",
    "100 years",
  ],
  uuid: [
    "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",
    "00000000-0000-0000-0000-000000000000",
    "ffffffff-ffff-ffff-ffff-ffffffffffff",
  ],
  json: [
    '{"a":1,"b":[1,2,{"c":null}],"d":"x\\"y"}',
    '[1, 2.50, null, "z", {"a": true}]',
    '"str"',
    "12.30",
    "null",
    '{"a":{"b":{"c":5}}, "a":7}',
    "{}",
    "[]",
  ],
  jsonb: [
    '{"a":1,"b":[1,2,{"c":null}],"d":"x"}',
    '[1, 2.50, null, "z", {"a": true}]',
    '"abc"',
    "12.30",
    "null",
    "true",
    '{"a":{"b":{"c":5}}}',
    "{}",
    "[]",
    '{"b":[1,2]}',
  ],
  _text: ["{}", "{a,b,c}", '{a,NULL,"x y"}', "{{a,b},{c,d}}", "{b,0}", "{a,b}", "[0:1]={a,b}"],
  _int4: ["{}", "{1,2,3}", "{3,NULL,1}", "{{1,2},{3,4}}", "[2:4]={5,6,7}", "{2}"],
  _float8: ["{1,2.5}", "{}"],
  _int8: ["{1,9223372036854775807}"],
  _name: ["{a,b}"],
  _oid: ["{1,2}"],
  oidvector: ["1 2", "", "1 3"],
  int2vector: ["1 2"],
  regclass: [],
  regtype: [],
};

/** What the polymorphic types stand for in the calls. */
const INSTANCES: Readonly<Record<string, readonly string[]>> = {
  anyelement: ["int4", "text", "numeric"],
  anynonarray: ["int4", "text"],
  anycompatible: ["int4", "text"],
  anycompatiblenonarray: ["int4"],
  any: ["int4"],
  anyarray: ["_int4", "_text"],
  anycompatiblearray: ["_int4", "_text"],
  anycompatible2: [],
};

/** Depends on the clock, the session, the machine, or prints a text of ours. */
const SKIPPED = new Set([
  "drandom",
  "setseed",
  "pgsql_version",
  "now",
  "statement_timestamp",
  "clock_timestamp",
  "timeofday",
  "gen_random_uuid",
  "pg_sleep",
  "pg_backend_pid",
  "pg_cancel_backend",
  "pg_terminate_backend",
  "current_database",
  "current_schema",
  "current_schemas",
  "current_user",
  "session_user",
  "show_config_by_name",
  "show_config_by_name_missing_ok",
  "set_config_by_name",
  "lastval",
  "pg_current_xact_id",
  "pg_current_xact_id_if_assigned",
  "pg_client_encoding",
  "getdatabaseencoding",
  "pg_is_in_recovery",
  "nextval_oid",
  "currval_oid",
  "setval_oid",
  "setval3_oid",
  "pg_convert_to",
  "pg_convert_from",
  "sql:age:1114",
  "sql:age:1184",
  "generate_series_int4",
  "generate_series_int8",
  "generate_series_step_int4",
  "generate_series_step_int8",
  "generate_series_numeric",
  "generate_series_step_numeric",
  "generate_series_timestamp",
  "generate_series_timestamptz",
  "repeat",
  "lpad",
  "rpad",
  "sql:lpad:25,23",
  "sql:rpad:25,23",
  "array_fill",
  "array_fill_with_lower_bounds",
  "oidvectortypes",
  "interval_scale",
  "numeric_fac",
  "pg_typeof",
  // Their templates are among EXTRA_CALLS.
  "timestamp_to_char",
  "timestamptz_to_char",
  "interval_to_char",
  "numeric_to_char",
  "int4_to_char",
  "int8_to_char",
  "float4_to_char",
  "float8_to_char",
  "to_date",
  "to_timestamp",
  "numeric_to_number",
  "to_ascii_default",
]);

const DATE_TEMPLATES = [
  "YYYY-MM-DD HH24:MI:SS",
  "Day, DD Month YYYY",
  "FMDay, FMDD FMMonth YYYY",
  "DY dd MON yy",
  "HH12:MI:SS AM",
  "hh:mi:ss.us p.m.",
  "DDD WW W IW ID D Q CC J",
  "IYYY-IW-ID",
  "Y,YYY AD",
  "FMDDth of month",
  "MS US FF1 FF3 FF6 SSSS",
  'YYYY"year"MM"month"',
  "RM rm FMRM",
  "TZH:TZM OF",
  "DDTH",
  "yyyymmddhh24miss",
  '\\YYYY"a\\"b"',
  "B.C.",
];
const NUMBER_TEMPLATES = [
  "9",
  "999",
  "9,999.99",
  "FM999.99",
  "000",
  "S999",
  "999S",
  "999MI",
  "999PR",
  "PL999",
  "99PL",
  "SG999",
  "FM000",
  "9.99",
  "0.9",
  "FM0.00",
  "999th",
  "RN",
  "fmrn",
  "9.99EEEE",
  "99V99",
  "B99",
  "9G999D9",
  "L999",
  "FM999,999,999.990",
  '"x"99',
  "9 9 9",
  "FM9999.9999",
  "00,000",
];

/** [key, function, argument types, argument texts]: what random combinations of samples would hardly hit. */
export const EXTRA_CALLS: readonly (readonly [string, string, readonly string[], readonly string[]])[] = [
  ...DATE_TEMPLATES.flatMap((template) =>
    ["2024-02-29 13:14:15.161718", "0044-03-15 00:00:00 BC", "1999-12-31 12:00:00"].map(
      (value) => ["timestamp_to_char", "to_char", ["timestamp", "text"], [value, template]] as const,
    ),
  ),
  ...["HH24:MI:SS", "DD", "YYYY MM DD", "HH12 AM", "Month", "FMHH24 FMMI", "SSSS"].flatMap((template) =>
    ["1 year 2 mons 3 days 04:05:06.789", "36:00:00", "-1 day"].map(
      (value) => ["interval_to_char", "to_char", ["interval", "text"], [value, template]] as const,
    ),
  ),
  ...["YYYY-MM-DD TZH:TZM", "HH24 OF"].map(
    (template) =>
      [
        "timestamptz_to_char",
        "to_char",
        ["timestamptz", "text"],
        ["2024-07-04 12:00:00+00", template],
      ] as const,
  ),
  ...NUMBER_TEMPLATES.flatMap((template) =>
    ["0", "1", "-1", "12.345", "-12.345", "485", "1234.5678", "0.5", "-0.1", "1234567"].map(
      (value) => ["numeric_to_char", "to_char", ["numeric", "text"], [value, template]] as const,
    ),
  ),
  ...(
    [
      ["2024-02-29", "YYYY-MM-DD"],
      ["29 Feb 2024", "DD Mon YYYY"],
      ["20240229", "YYYYMMDD"],
      ["2024/2/9", "YYYY-MM-DD"],
      ["February 3, 2001", "FMMonth DD, YYYY"],
      ["2001-060", "YYYY-DDD"],
      ["2024-09-4", "IYYY-IW-ID"],
      ["99-1-2", "YY-MM-DD"],
      ["2451545", "J"],
      ["2024-13-01", "YYYY-MM-DD"],
      ["2023-02-29", "YYYY-MM-DD"],
      ["abc", "YYYY"],
      ["44-03-15 BC", "YYYY-MM-DD BC"],
      ["12 XII 2000", "DD RM YYYY"],
      ["3rd 4 2000", "DDth MM YYYY"],
      ["2000", "YYYY"],
      ["", "YYYY"],
    ] as const
  ).map((args) => ["to_date", "to_date", ["text", "text"], args] as const),
  ...(
    [
      ["2024-02-29 13:14:15.5", "YYYY-MM-DD HH24:MI:SS.MS"],
      ["1:02 pm 2001-02-03", "HH12:MI pm YYYY-MM-DD"],
      ["2024-02-29T13:14:15", 'YYYY-MM-DD"T"HH24:MI:SS'],
      ["2024-02-29 25:00", "YYYY-MM-DD HH24:MI"],
      ["2024-02-29 13:00 PM", "YYYY-MM-DD HH:MI PM"],
      ["20240229131415", "YYYYMMDDHH24MISS"],
      ["2024-02-29 10:00 +05:30", "YYYY-MM-DD HH24:MI TZH:TZM"],
    ] as const
  ).map((args) => ["to_timestamp", "to_timestamp", ["text", "text"], args] as const),
  ...(
    [
      ["12,454.8-", "99G999D9S"],
      ["1,234", "9,999"],
      ["-12.5", "99.9"],
      ["<42>", "99PR"],
      ["abc", "99"],
      ["$ 12", "L99"],
      ["12.345", "99.9"],
    ] as const
  ).map((args) => ["numeric_to_number", "to_number", ["text", "text"], args] as const),
  ...(
    [
      ["abc", "a%"],
      ["abc", "%c"],
      ["abc", "%b%"],
      ["abc", "a_c"],
      ["abc", "abc"],
      ["abc", "a%d"],
      ["a%c", "a\\%c"],
      ["abc", "a\\"],
      ["😀x", "_x"],
      ["", "%"],
      ["", "_"],
      ["aXbXc", "a%b%c"],
      ["abc", "%%"],
    ] as const
  ).flatMap((args) =>
    (["textlike", "textnlike", "texticlike"] as const).map(
      (source) => [source, source, ["text", "text"], args] as const,
    ),
  ),
  ...(
    [
      ["abc", "^a"],
      ["abc", "B"],
      ["abc", "a.c"],
      ["a\nb", "a.b"],
      ["foobar", "o{2}"],
      ["x1", "\\d"],
      ["x1", "[[:alpha:]]\\d$"],
      ["ab", "(a)(b)?c?"],
      ["ab", "a**"],
      ["ab", "("],
      ["ab", "[b"],
      ["ab", "a{2,1}"],
      ["a]b", "[]x]"],
      ["a-b", "[a\\-]+"],
      ["héllo", "h\\wllo"],
      ["foo bar", "\\mbar\\M"],
      ["foo bar", "\\yfoo\\y"],
      ["ABC", "(?i)abc"],
      ["a.c", "***=a.c"],
      ["tab\there", "\\t"],
      ["é", "\\u00e9"],
      ["ab", "a|"],
      ["abc", "[^a]"],
      ["", ""],
      ["ab", "?a"],
      ["a{b", "a{b"],
      ["x", "[[:nope:]]"],
      ["a", "[b-a]"],
      ["ab", "\\q"],
    ] as const
  ).flatMap((args) => [
    ["textregexeq", "textregexeq", ["text", "text"], args] as const,
    ["texticregexne", "texticregexne", ["text", "text"], args] as const,
    ["regexp_match_no_flags", "regexp_match", ["text", "text"], args] as const,
  ]),
  ...(
    [
      ["foobarbaz", "b..", "X", ""],
      ["foobarbaz", "b..", "X", "g"],
      ["foobarbaz", "b(..)", "[\\1]", "g"],
      ["foobarbaz", "B", "\\&\\&", "gi"],
      ["abc", "", "-", "g"],
      ["abc", "b*", "-", "g"],
      ["Thomas", ".[mN]a.", "M", "z"],
      ["a1b2", "\\d", "\\\\", "g"],
    ] as const
  ).map((args) => ["textregexreplace", "regexp_replace", ["text", "text", "text", "text"], args] as const),
  ...(
    [
      ["the quick fox", "\\s+"],
      ["a,b,,c", ","],
      ["abc", ""],
      ["", ","],
      [",a,", ","],
      ["hello", "l*"],
      ["abc", "x"],
    ] as const
  ).flatMap((args) => [
    ["regexp_split_to_array_no_flags", "regexp_split_to_array", ["text", "text"], args] as const,
    ["regexp_split_to_table_no_flags", "regexp_split_to_table", ["text", "text"], args] as const,
  ]),
  ...(
    [
      ["foobarbequebaz", "(bar)(beque)", ""],
      ["foobarbequebazilbarfbonk", "(b[^b]+)(b[^b]+)", "g"],
      ["abab", "a.", "g"],
    ] as const
  ).map((args) => ["regexp_matches", "regexp_matches", ["text", "text", "text"], args] as const),
  ...(
    [
      ["foobar", "o."],
      ["foobar", "o(.)b"],
      ["abc", "x"],
      ["abc", "(x)?a"],
    ] as const
  ).map((args) => ["textregexsubstr", "substring", ["text", "text"], args] as const),
  ...(
    [
      ["abc", "%(b|d)%"],
      ["abc", "(a|b)*"],
      ["abc", "_b_"],
      ["a.c", "a.c"],
    ] as const
  ).flatMap(([, pattern]) => [["similar_to_escape_1", "similar_to_escape", ["text"], [pattern]] as const]),
  ...(
    [
      ["Hello %s, %1$s", "x"],
      ["%I and %L", "a b"],
      ["%2$s", "x"],
      ["%s %s", "x"],
      ["%-5s|", "x"],
      ["%5s|", "x"],
      ["%x", "y"],
      ["%", "y"],
      ["100%%", "z"],
      ["%L", "it's"],
      ["%*s", "3"],
    ] as const
  ).map((args) => ["text_format", "format", ["text", "text"], args] as const),
  ...(
    [
      ["ab", "3"],
      ["ab", "0"],
      ["ab", "-1"],
      ["", "5"],
    ] as const
  ).map((args) => ["repeat", "repeat", ["text", "int4"], args] as const),
  ...(
    [
      ["ab", "5", "xyz"],
      ["abcdef", "3", "x"],
      ["ab", "5", ""],
      ["é", "4", "ü"],
      ["ab", "-1", "x"],
    ] as const
  ).flatMap((args) => [
    ["lpad", "lpad", ["text", "int4", "text"], args] as const,
    ["rpad", "rpad", ["text", "int4", "text"], args] as const,
  ]),
  ...(
    [
      ["1", "5", "2"],
      ["5", "1", "-2"],
      ["1", "0", "1"],
      ["1", "3", "0"],
      ["2147483646", "2147483647", "1"],
    ] as const
  ).map((args) => ["generate_series_step_int4", "generate_series", ["int4", "int4", "int4"], args] as const),
  ...(
    [
      ["9223372036854775805", "9223372036854775807", "1"],
      ["9007199254740990", "9007199254740994", "1"],
    ] as const
  ).map((args) => ["generate_series_step_int8", "generate_series", ["int8", "int8", "int8"], args] as const),
  ...(
    [
      ["1.0", "2", "0.25"],
      ["1", "0", "1"],
      ["1", "2", "NaN"],
      ["3", "1", "-1.5"],
    ] as const
  ).map(
    (args) =>
      ["generate_series_step_numeric", "generate_series", ["numeric", "numeric", "numeric"], args] as const,
  ),
  ...(
    [
      ["2024-01-31", "2024-05-31", "1 mon"],
      ["2024-03-09 12:00", "2024-03-12", "1 day"],
      ["2024-01-01", "2023-01-01", "-6 mons"],
    ] as const
  ).flatMap((args) => [
    ["generate_series_timestamp", "generate_series", ["timestamp", "timestamp", "interval"], args] as const,
    [
      "generate_series_timestamptz",
      "generate_series",
      ["timestamptz", "timestamptz", "interval"],
      args,
    ] as const,
  ]),
  ...(
    [
      "year",
      "quarter",
      "month",
      "week",
      "day",
      "hour",
      "minute",
      "second",
      "milliseconds",
      "decade",
      "century",
      "millennium",
    ] as const
  ).flatMap((unit) => [
    ["timestamp_trunc", "date_trunc", ["text", "timestamp"], [unit, "2024-02-29 13:14:15.161718"]] as const,
    ["timestamp_trunc", "date_trunc", ["text", "timestamp"], [unit, "0044-03-15 10:00 BC"]] as const,
    ["timestamptz_trunc", "date_trunc", ["text", "timestamptz"], [unit, "2024-03-10 07:30:00+00"]] as const,
    [
      "interval_trunc",
      "date_trunc",
      ["text", "interval"],
      [unit, "13 years 5 mons 3 days 04:05:06.789"],
    ] as const,
  ]),
  ...(
    [
      "year",
      "quarter",
      "month",
      "week",
      "day",
      "hour",
      "minute",
      "second",
      "milliseconds",
      "microseconds",
      "decade",
      "century",
      "millennium",
      "dow",
      "isodow",
      "doy",
      "isoyear",
      "epoch",
      "julian",
      "timezone",
      "timezone_hour",
    ] as const
  ).flatMap((unit) => [
    ["extract_timestamp", "extract", ["text", "timestamp"], [unit, "2024-02-29 13:14:15.161718"]] as const,
    ["extract_timestamp", "extract", ["text", "timestamp"], [unit, "0044-03-15 10:00 BC"]] as const,
    ["extract_timestamp", "extract", ["text", "timestamp"], [unit, "infinity"]] as const,
    ["extract_timestamptz", "extract", ["text", "timestamptz"], [unit, "2024-03-10 07:30:00+00"]] as const,
    ["extract_date", "extract", ["text", "date"], [unit, "2024-12-30"]] as const,
    [
      "extract_interval",
      "extract",
      ["text", "interval"],
      [unit, "-13 years -5 mons 3 days 04:05:06.789"],
    ] as const,
    ["timestamp_part", "date_part", ["text", "timestamp"], [unit, "2024-02-29 13:14:15.161718"]] as const,
    ["extract_time", "extract", ["text", "time"], [unit, "12:34:56.789"]] as const,
  ]),
  ...(
    [
      "UTC",
      "Europe/Berlin",
      "America/New_York",
      "PST",
      "+03",
      "-05:30",
      "Mars/Olympus",
      "Asia/Kolkata",
    ] as const
  ).flatMap((zone) => [
    ["timestamp_zone", "timezone", ["text", "timestamp"], [zone, "2024-07-04 12:00:00"]] as const,
    ["timestamptz_zone", "timezone", ["text", "timestamptz"], [zone, "2024-07-04 12:00:00+00"]] as const,
  ]),
  ...([["0.5"], ["2"], ["10"], ["0.0001"], ["1e30"], ["-3.7"], ["1000.5"]] as const).flatMap((args) => [
    ["numeric_exp", "exp", ["numeric"], args] as const,
    ["numeric_ln", "ln", ["numeric"], args] as const,
    ["numeric_sqrt", "sqrt", ["numeric"], args] as const,
    ["numeric_power", "power", ["numeric", "numeric"], [args[0], "2.5"]] as const,
    ["numeric_power", "power", ["numeric", "numeric"], [args[0], "-3"]] as const,
    ["numeric_log", "log", ["numeric", "numeric"], ["7", args[0]]] as const,
    ["numeric_div", "numeric_div", ["numeric", "numeric"], [args[0], "7"]] as const,
  ]),
];

export function isRecorded(source: string): boolean {
  return (
    !SKIPPED.has(source) &&
    !source.startsWith("pg_advisory") &&
    !source.startsWith("pg_try_advisory") &&
    !source.startsWith("sql:pg_sleep") &&
    !source.startsWith("agg:")
  );
}

export function recordedSources(): readonly string[] {
  return functionSources().filter(isRecorded);
}

/** mulberry32: small seeded generator, the same on every machine. */
export function random(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

/** Argument types of a call with the polymorphic ones filled in; undefined = a type without samples. */
export function instantiate(typeNames: readonly string[], next: () => number): string[] | undefined {
  const pick = next() < 0.5 ? 0 : 1;
  const out: string[] = [];
  for (const name of typeNames) {
    const instances = INSTANCES[name];
    const chosen = instances === undefined ? name : (instances[pick] ?? instances[0]);
    if (chosen === undefined || (SAMPLES[chosen]?.length ?? 0) === 0) return undefined;
    out.push(chosen);
  }
  return out;
}

/** Distinct argument lists: every combination when few, else a sample. */
export function argumentLists(types: readonly string[], count: number, next: () => number): string[][] {
  const total = types.reduce((product, type) => product * (SAMPLES[type]?.length ?? 0), 1);
  const lists = new Map<string, string[]>();
  const wanted = Math.min(count, total);
  for (let tries = 0; lists.size < wanted && tries < count * 20; tries++) {
    const list = types.map((type) => {
      const samples = SAMPLES[type] as readonly string[];
      return samples[Math.floor(next() * samples.length)] as string;
    });
    lists.set(JSON.stringify(list), list);
  }
  return [...lists.values()];
}
