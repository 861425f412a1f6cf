// The statements that psql 15 sends, and the views of information_schema, are understood by the binder: names, columns,
// operators and functions all exist, with PostgreSQL's types.
import { readFileSync } from "node:fs";
import { beforeAll, describe, expect, test } from "vitest";
import { must } from "../../common/assert.ts";
import { informationSchemaViewNames } from "../../catalog/information-schema/index.ts";
import { initParser, parse } from "../../parser/parse.ts";
import { type BoundStatement, bindStatement } from "../../planner/binder/index.ts";
import { DEFAULT_SETTINGS, type PlannerContext } from "../../planner/context.ts";
import { sampleContext, sampleSnapshot } from "./context.ts";

const catalog = sampleSnapshot();
const planner: PlannerContext = {
  catalog,
  searchPath: ["pg_catalog", "public"],
  parameterTypes: [],
  settings: DEFAULT_SETTINGS,
  functionContext: sampleContext(catalog).functions,
  rowCount: () => 1000,
};

beforeAll(initParser);

function bind(sql: string): BoundStatement {
  return bindStatement(must(parse(sql)[0], "one statement"), planner);
}

const recorded = readFileSync(new URL("../psql/queries.sql", import.meta.url), "utf8");
const commands = recorded
  .split(/^(?=-- \\)/m)
  .slice(1)
  .map((block) => {
    const [command = "", ...lines] = block.split("\n");
    const queries = lines.join("\n").split(/;\s*\n/);
    return {
      command: command.slice(3),
      queries: queries.map((query) => query.trim()).filter((query) => query !== ""),
    };
  })
  .filter(({ queries }) => queries.length > 0);

describe("psql", () => {
  test.each(commands)("$command", ({ queries }) => {
    for (const query of queries) expect(bind(query).query.columns.length).toBeGreaterThan(0);
  });
});

describe("information_schema", () => {
  test.each(informationSchemaViewNames())("%s", (name) => {
    const ref = catalog.relation("information_schema", name, []);
    const view = ref?.kind === "view" ? ref.view : undefined;
    const bound = bind(`SELECT * FROM information_schema.${name}`);
    const shape = bound.query.columns.map((column) => [column.name, column.type]);
    expect(shape).toEqual(must(view, name).columns.map((column) => [column.name, column.type]));
  });
});
