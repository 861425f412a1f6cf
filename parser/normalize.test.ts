import { describe, expect, test } from "vitest";
import { literalTypes, normalize } from "./normalize.ts";

function key(sql: string): string | undefined {
  return normalize(sql)?.key;
}

describe("literals that become parameters", () => {
  test("values in WHERE, select list, VALUES, distances and LIMIT", () => {
    expect(normalize("SELECT id, 'x' FROM t WHERE a = 5 AND b LIKE 'y%' LIMIT 10")).toEqual({
      key: "SELECT id, $1 FROM t WHERE a = $2 AND b LIKE $3 LIMIT $4",
      literals: [
        { kind: "string", text: "x" },
        { kind: "int4", text: "5" },
        { kind: "string", text: "y%" },
        { kind: "int4", text: "10" },
      ],
    });
    expect(key("INSERT INTO t VALUES (1, 'it''s', 1.5)")).toBe("INSERT INTO t VALUES ($1, $2, $3)");
    expect(key("select a from t order by e <-> '[1,2]' limit 3")).toBe(
      "select a from t order by e <-> $1 limit $2",
    );
  });

  test("statements that differ in constants have one key, others do not", () => {
    expect(key("select 1 where a = 'x'")).toBe(key("select 2 where a = 'y'"));
    expect(key("select 1")).toBe("select $1");
    expect(key("select 1.5")).toBe("select $1");
    expect(literalTypes(normalize("select 1, 1.5, 'x'")?.literals ?? [])).toEqual([23, 1700, 0]);
  });

  test("quotes are taken off and doubled ones halved", () => {
    expect(normalize("select 'it''s'")?.literals).toEqual([{ kind: "string", text: "it's" }]);
  });

  test("an embedding written twice is one parameter, so that the two distances stay the same expression", () => {
    expect(key("select e <-> '[1,2]' from t order by e <-> '[1,2]' limit 5")).toBe(
      "select e <-> $1 from t order by e <-> $1 limit $2",
    );
    expect(key("select a + 1 from t group by a + 1")).toBe("select a + $1 from t group by a + $1");
  });

  test("a minus sign is an operator of its own", () => {
    expect(key("select 1 where a =-5")).toBe("select $1 where a =-$2");
  });
});

describe("literals that stay", () => {
  test.each([
    "select a from t order by 1, 2 desc",
    "select a, count(*) from t group by 1",
    "select a::varchar(3), cast(b as numeric(10,2)) from t",
    "select date '2020-01-01', interval '1' day",
    "select a from t fetch first 5 rows only",
    "select 9999999999",
    "select a from t where b = E'x\\n' or b = B'01' or b = $$x$$",
    "select a at time zone 'utc' from t",
  ])("%s", (sql) => {
    expect(key(sql)).toBeUndefined();
  });

  test("positions stay while the expressions beside them become parameters", () => {
    expect(key("select a, b + 1 from t where c = 2 order by 1, b + 3 limit 4")).toBe(
      "select a, b + $1 from t where c = $2 order by 1, b + $3 limit $4",
    );
  });
});

describe("texts that are planned as they are", () => {
  test.each([
    "create table t (a int default 5)",
    "select $1, 5",
    "select 1; select 2",
    "select 'a'\n 'b'",
    "select 'unfinished",
    "select a from t",
    "",
  ])("%s", (sql) => {
    expect(normalize(sql)).toBeUndefined();
  });

  test("comments and dollar quotes hide nothing", () => {
    expect(key("select /* 1 /* 2 */ '3 */ 4 -- 5")).toBe("select /* 1 /* 2 */ '3 */ $1 -- 5");
    expect(key("select $a$ 1 $a$, 2")).toBe("select $a$ 1 $a$, $1");
  });
});
