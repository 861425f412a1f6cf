// Values and errors as PostgreSQL 15 gave them for the same SET statements.
import { describe, expect, test } from "vitest";
import { SqlError } from "../common/error.ts";
import { parseNameList, formatNameList } from "./name-list.ts";
import { Settings } from "./settings.ts";

function caught(run: () => unknown): unknown {
  try {
    run();
  } catch (error) {
    return error;
  }
  return undefined;
}

describe("values", () => {
  test.each([
    ["work_mem", "10 MB", "10MB"],
    ["work_mem", "1024", "1MB"],
    ["work_mem", "64kB", "64kB"],
    ["statement_timeout", "1min", "1min"],
    ["statement_timeout", "90s", "90s"],
    ["statement_timeout", "0", "0"],
    ["DATESTYLE", "sql, dmy", "SQL, DMY"],
    ["datestyle", "german", "German, DMY"],
    ["timezone", "utc", "UTC"],
    ["TimeZone", "-7", "<-07>+07"],
    ["timezone", "europe/berlin", "Europe/Berlin"],
    ["random_page_cost", "1.5", "1.5"],
    ["enable_seqscan", "f", "off"],
    ["enable_seqscan", "1", "on"],
    ["client_encoding", "utf-8", "UTF8"],
    ["synchronous_commit", "true", "on"],
    ["my.var", "anything at all", "anything at all"],
    ["omendb.exact", "yes", "on"],
    ["application_name", "aä", "a?"],
  ])("SET %s = %j shows %j", (name, value, shown) => {
    const settings = new Settings();
    expect(settings.set(name, value, false)).toBe(shown);
    expect(settings.show(name)).toBe(shown);
  });

  test.each([
    ["work_mem", "abc", "22023", 'invalid value for parameter "work_mem": "abc"'],
    ["work_mem", "1", "22023", '1 kB is outside the valid range for parameter "work_mem" (64 .. 2147483647)'],
    ["work_mem", "99999999999", "22023", 'invalid value for parameter "work_mem": "99999999999"'],
    ["enable_seqscan", "maybe", "22023", 'parameter "enable_seqscan" requires a Boolean value'],
    ["bytea_output", "x", "22023", 'invalid value for parameter "bytea_output": "x"'],
    [
      "extra_float_digits",
      "9",
      "22023",
      '9 is outside the valid range for parameter "extra_float_digits" (-15 .. 3)',
    ],
    [
      "max_connections",
      "3",
      "55P02",
      'parameter "max_connections" cannot be changed without restarting the server',
    ],
    ["server_version", "x", "55P02", 'parameter "server_version" cannot be changed'],
    ["nosuch", "3", "42704", 'unrecognized configuration parameter "nosuch"'],
    ["datestyle", "foo", "22023", 'invalid value for parameter "DateStyle": "foo"'],
    ["timezone", "nowhere", "22023", 'invalid value for parameter "TimeZone": "nowhere"'],
    ["client_encoding", "nonsense", "22023", 'invalid value for parameter "client_encoding": "nonsense"'],
    ["client_encoding", "latin1", "0A000", 'client_encoding "latin1" (only UTF8) is not supported'],
    ["omendb.nosuch", "1", "42602", 'invalid configuration parameter name "omendb.nosuch"'],
  ])("SET %s = %j is %s", (name, value, code, message) => {
    const settings = new Settings();
    const error = caught(() => settings.set(name, value, false));
    expect(error).toBeInstanceOf(SqlError);
    expect(error).toMatchObject({ code, message });
    expect(settings.isSetByUser(name)).toBe(false);
  });
});

describe("life spans", () => {
  test("SET LOCAL ends with the transaction, SET stays", () => {
    const settings = new Settings();
    settings.set("work_mem", "1MB", false);
    settings.set("work_mem", "2MB", true);
    expect(settings.show("work_mem")).toBe("2MB");
    settings.commit();
    expect(settings.show("work_mem")).toBe("1MB");
  });

  test("SET after SET LOCAL wins over it", () => {
    const settings = new Settings();
    settings.set("work_mem", "2MB", true);
    settings.set("work_mem", "3MB", false);
    expect(settings.show("work_mem")).toBe("3MB");
    settings.commit();
    expect(settings.show("work_mem")).toBe("3MB");
  });

  test("a rollback to a mark restores what was there, a later one the rest", () => {
    const settings = new Settings();
    settings.set("work_mem", "1MB", false);
    const mark = settings.mark();
    settings.set("work_mem", "2MB", true);
    settings.set("my.var", "x", false);
    settings.rollbackTo(mark);
    expect(settings.show("work_mem")).toBe("1MB");
    expect(settings.show("my.var")).toBeUndefined();
    settings.rollbackTo(0);
    expect(settings.show("work_mem")).toBe("4MB");
  });

  test("after RESET nobody has chosen a value", () => {
    const settings = new Settings();
    settings.set("hnsw.ef_search", "40", false);
    settings.reset("hnsw.ef_search", false);
    expect(settings.isSetByUser("hnsw.ef_search")).toBe(false);
    settings.rollbackTo(1);
    expect(settings.isSetByUser("hnsw.ef_search")).toBe(true);
    settings.resetAll();
    expect(settings.isSetByUser("hnsw.ef_search")).toBe(false);
  });

  test("RESET goes back to what the connection asked for", () => {
    const settings = new Settings();
    settings.setInitial("work_mem", "8MB");
    settings.set("work_mem", "1MB", false);
    settings.reset("work_mem", false);
    expect(settings.show("work_mem")).toBe("8MB");
    settings.set("work_mem", "1MB", false);
    settings.resetAll();
    expect(settings.show("work_mem")).toBe("8MB");
  });

  test("changes of reported settings are told once, and only changes", () => {
    const settings = new Settings();
    expect([...settings.greeting()].map(([name]) => name)).toContain("TimeZone");
    settings.set("work_mem", "1MB", false);
    settings.set("application_name", "me", false);
    expect([...settings.changes()]).toEqual([["application_name", "me"]]);
    expect([...settings.changes()]).toEqual([]);
    settings.rollbackTo(0);
    expect([...settings.changes()]).toEqual([["application_name", ""]]);
  });
});

test("name lists split and print as search_path does", () => {
  expect(parseNameList('"$user", public, "a ""b"" c", FOO')).toEqual(["$user", "public", 'a "b" c', "foo"]);
  expect(formatNameList(["a b", "C", "d", "$user"])).toBe('"a b", "C", d, "$user"');
});
