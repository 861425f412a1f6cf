// The statements that psql 15 sends, and the views of information_schema, run over the sample catalogue through binder,
// planner and executor. The answers are what psql prints from; they need no engine, since nothing here reads a user's table.
import { readFileSync } from "node:fs";
import { beforeAll, describe, expect, test } from "vitest";
import { informationSchemaViewNames } from "../../catalog/information-schema/index.ts";
import { must } from "../../common/assert.ts";
import { codecOf } from "../../common/types/registry.ts";
import { executePlan } from "../../executor/execution.ts";
import { options } from "../../executor/testing/support.ts";
import { initParser, parse } from "../../parser/parse.ts";
import { DEFAULT_SETTINGS, planStatement, type PlannerContext } from "../../planner/index.ts";
import type { PlannedStatement } from "../../planner/physical/plan.ts";
import { docs, sampleContext, sampleSnapshot } from "./context.ts";

const catalog = sampleSnapshot();
const context = sampleContext(catalog);
const planner: PlannerContext = {
  catalog,
  searchPath: ["pg_catalog", "public"],
  parameterTypes: [],
  settings: DEFAULT_SETTINGS,
  functionContext: context.functions,
  rowCount: () => 1000,
};

beforeAll(initParser);

function plan(sql: string): PlannedStatement {
  return planStatement(must(parse(sql)[0], "one statement"), planner);
}

/** Rows as psql -At prints them. */
async function rows(sql: string): Promise<string[]> {
  const planned = plan(sql);
  const { types } = context.functions;
  const stream = executePlan(
    planned,
    options({ catalog, functionContext: context.functions, statistics: context.statistics }),
  );
  const lines: string[] = [];
  try {
    for (let batch = await stream.next(); batch !== undefined; batch = await stream.next()) {
      for (let row = 0; row < batch.rowCount; row++) {
        const texts = batch.columns.map((vector, i) => {
          const value = vector.get(row);
          const column = must(planned.result?.[i], "a result column");
          return value === null ? "" : codecOf(column.type.oid).format(value, types);
        });
        lines.push(texts.join("|"));
      }
    }
  } finally {
    stream.close();
  }
  return lines;
}

// The recording's table t, its key index and its oids, turned into the sample's.
const recorded = readFileSync(new URL("../psql/queries.sql", import.meta.url), "utf8")
  .replaceAll("'16394'", `'${docs.oid}'`)
  .replaceAll("'16402'", "'16391'")
  .replaceAll("'^(t)$'", () => "'^(docs)$'");
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

/** What the queries of a command give, empty results left out. */
async function answers(command: string): Promise<string[][]> {
  const found = must(
    commands.find((candidate) => candidate.command === command),
    command,
  );
  const all: string[][] = [];
  for (const query of found.queries) {
    const lines = await rows(query);
    if (lines.length > 0) all.push(lines);
  }
  return all;
}

describe("psql", () => {
  test.each(commands)("$command runs", async ({ queries }) => {
    for (const query of queries) await rows(query);
  });

  test("lists", async () => {
    expect(await answers("\\d")).toEqual([
      ["public|docs|table|postgres", "public|docs_id_seq|sequence|postgres"],
    ]);
    expect(await answers("\\di")).toEqual([
      [
        "public|Mixed|index|postgres|docs",
        "public|docs_body_idx|index|postgres|docs",
        "public|docs_emb_idx|index|postgres|docs",
        "public|docs_pkey|index|postgres|docs",
      ],
    ]);
    expect(await answers("\\dn")).toEqual([["public|pg_database_owner"]]);
    expect(await answers("\\dx")).toEqual([
      ["vector|0.8.5|public|vector data type and ivfflat and hnsw access methods"],
    ]);
    expect(await answers("\\l")).toEqual([
      [
        "postgres|postgres|UTF8|C.UTF-8|C.UTF-8||libc|",
        "template0|postgres|UTF8|C.UTF-8|C.UTF-8||libc|",
        "template1|postgres|UTF8|C.UTF-8|C.UTF-8||libc|",
      ],
    ]);
  });

  test("\\d of a table: columns, indexes, constraints", async () => {
    expect(await answers("\\d t")).toEqual([
      ["16384|public|docs"],
      ["1|r|t|f|f|f|f|f|f||0||p|d|heap"],
      [
        "id|integer|nextval('docs_id_seq'::regclass)|t|||",
        "body|text|'x'::text|f|||",
        "emb|vector(3)||f|||",
        "Odd name|numeric(10,2)||f|||",
      ],
      [
        "docs_pkey|t|t|f|t|CREATE UNIQUE INDEX docs_pkey ON docs USING btree (id)|PRIMARY KEY (id)|p|f|f|f|0",
        'Mixed|f|f|f|t|CREATE INDEX "Mixed" ON docs USING btree (body text_pattern_ops DESC NULLS LAST, "Odd name" NULLS FIRST) INCLUDE (id)|||||f|0',
        "docs_body_idx|f|f|f|t|CREATE INDEX docs_body_idx ON docs USING bm25 (body) WITH (text_config=english)|||||f|0",
        "docs_emb_idx|f|f|f|t|CREATE INDEX docs_emb_idx ON docs USING hnsw (emb vector_cosine_ops) WITH (m='16', ef_construction='200')|||||f|0",
      ],
      ['docs_check|CHECK (id > 0 AND "Odd name" IS NOT NULL)'],
    ]);
  });
});

describe("information_schema", () => {
  test.each(informationSchemaViewNames())("%s: columns and types as declared", (name) => {
    const ref = catalog.relation("information_schema", name, []);
    const view = ref?.kind === "view" ? ref.view : undefined;
    const shape = must(plan(`SELECT * FROM information_schema.${name}`).result, "columns").map((column) => [
      column.name,
      column.type,
    ]);
    expect(shape).toEqual(must(view, name).columns.map((column) => [column.name, column.type]));
  });

  test("what programs ask for", async () => {
    expect(
      await rows(`SELECT column_name, ordinal_position, column_default, is_nullable, data_type, numeric_precision, udt_name
        FROM information_schema.columns WHERE table_schema = 'public' AND table_name = 'docs' ORDER BY ordinal_position`),
    ).toEqual([
      "id|1|nextval('docs_id_seq'::regclass)|NO|integer|32|int4",
      "body|2|'x'::text|YES|text||text",
      "emb|3||YES|USER-DEFINED||vector",
      "Odd name|4||YES|numeric|10|numeric",
    ]);
    expect(
      await rows(
        "SELECT table_name, table_type FROM information_schema.tables WHERE table_schema = 'public'",
      ),
    ).toEqual(["docs|BASE TABLE"]);
    expect(
      await rows(`SELECT constraint_name, constraint_type FROM information_schema.table_constraints
        WHERE table_name = 'docs' ORDER BY 1`),
    ).toEqual(["2200_16384_1_not_null|CHECK", "docs_check|CHECK", "docs_pkey|PRIMARY KEY"]);
    expect(
      await rows(`SELECT k.column_name, k.ordinal_position FROM information_schema.key_column_usage k
        WHERE k.table_name = 'docs'`),
    ).toEqual(["id|1"]);
    expect(
      await rows(`SELECT specific_schema, routine_type, data_type FROM information_schema.routines
        WHERE routine_name = 'vector_norm'`),
    ).toEqual(["pg_catalog|FUNCTION|double precision"]);
    expect(await rows("SELECT sequence_name, data_type FROM information_schema.sequences")).toEqual([
      "docs_id_seq|integer",
    ]);
  });
});
