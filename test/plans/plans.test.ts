// Plans as text: each *.plan file holds statements, each with the logical plan as bound, after every rule that changed it, and the
// final plan as EXPLAIN shows it, over the made-up catalogue of planner/testing/fixture.ts. UPDATE=1 rewrites the files.
//
//   -- what is expected and why
//   [settings: enable_indexscan=off]
//   select ...;
//   ----
//   Bound / rule names / Plan with their trees
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { beforeAll, describe, expect, test } from "vitest";
import { must } from "../../common/assert.ts";
import { SqlError } from "../../common/error.ts";
import { initParser, parse } from "../../parser/parse.ts";
import { bindStatement } from "../../planner/binder/index.ts";
import type { PlannerSettings } from "../../planner/context.ts";
import { explainPlan } from "../../planner/explain.ts";
import { planStatement } from "../../planner/index.ts";
import { printLogical } from "../../planner/logical/print.ts";
import { optimize } from "../../planner/optimizer/index.ts";
import { testContext } from "../../planner/testing/fixture.ts";

const folder = fileURLToPath(new URL(".", import.meta.url));

interface Case {
  readonly comment: string;
  readonly sql: string;
  readonly settings: Partial<PlannerSettings>;
  readonly expected: string;
}

const SETTINGS: Readonly<Record<string, keyof PlannerSettings>> = {
  enable_seqscan: "enableSeqscan",
  enable_indexscan: "enableIndexscan",
  enable_bitmapscan: "enableBitmapscan",
  enable_hashjoin: "enableHashjoin",
  "omendb.exact": "exact",
};

function parseFile(text: string): readonly Case[] {
  return text
    .split(/^====\n/m)
    .filter((block) => block.trim() !== "")
    .map((block) => {
      const [head = "", expected = ""] = block.split(/^----\n/m);
      const lines = head.trim().split("\n");
      const isSetting = (line: string): boolean => line.startsWith("[settings:");
      const settings: Record<string, boolean> = {};
      for (const line of lines.filter(isSetting)) {
        for (const [, name = "", value] of line.matchAll(/([\w.]+)=(on|off)/g)) {
          settings[must(SETTINGS[name], `a known setting instead of ${name}`)] = value === "on";
        }
      }
      return {
        comment: lines.filter((line) => line.startsWith("--")).join("\n"),
        sql: lines.filter((line) => !line.startsWith("--") && !isSetting(line)).join("\n"),
        settings,
        expected: expected.trim(),
      };
    });
}

/** The trace of one statement, or its error. */
function trace(sql: string, settings: Partial<PlannerSettings>): string {
  const context = testContext(settings);
  const { types } = context.functionContext;
  const statement = must(parse(sql)[0], "one statement");
  const parts: string[] = [];
  try {
    const { query, context: bound } = bindStatement(statement, context);
    let last = printLogical(query.plan, types);
    parts.push(`Bound:\n${indent(last)}`);
    optimize(
      query.plan,
      context,
      (name, type, collation) => bound.newColumn(name, type, collation),
      (rule, plan) => {
        const text = printLogical(plan, types);
        if (text !== last) parts.push(`${rule}:\n${indent(text)}`);
        last = text;
      },
    );
    const planned = planStatement(statement, context);
    const options = {
      format: "text",
      costs: false,
      timing: false,
      verbose: false,
      summary: false,
      types,
    } as const;
    parts.push(`Plan:\n${indent(explainPlan(planned, options).join("\n"))}`);
  } catch (error) {
    if (!(error instanceof SqlError)) throw error;
    parts.push(`Error: ${error.code} ${error.message}`);
  }
  return parts.join("\n");
}

function indent(text: string): string {
  return text.replace(/^/gm, "  ");
}

beforeAll(initParser);

for (const name of readdirSync(folder).filter((file) => file.endsWith(".plan"))) {
  const path = folder + name;
  const cases = parseFile(readFileSync(path, "utf8"));
  describe(name, () => {
    if (process.env.UPDATE === "1") {
      test("rewritten", () => {
        const blocks = cases.map(({ comment, sql, settings }) => {
          const words = Object.entries(settings).map(
            ([key, value]) => `${settingName(key)}=${value === true ? "on" : "off"}`,
          );
          const head = [comment, words.length === 0 ? "" : `[settings: ${words.join(" ")}]`, sql].filter(
            (line) => line !== "",
          );
          return `${head.join("\n")}\n----\n${trace(sql, settings)}\n`;
        });
        writeFileSync(path, blocks.join("====\n"));
      });
      return;
    }
    for (const { sql, settings, comment, expected } of cases) {
      test(`${comment.replace(/^-- /, "")}: ${sql}`, () => {
        expect(trace(sql, settings)).toBe(expected);
      });
    }
  });
}

function settingName(key: string): string {
  return must(Object.entries(SETTINGS).find(([, field]) => field === key)?.[0], "a known setting");
}
