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
  "to_ascii_default",
]);

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
