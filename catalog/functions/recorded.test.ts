// Function bodies against PostgreSQL 15's recorded answers (test/record/functions.ts makes them).
import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { SqlError } from "../../common/error.ts";
import { codecOf, lookupCodec } from "../../common/types/registry.ts";
import { Oid, arrayOidOf } from "../../common/types/oid.ts";
import { SqlRecord } from "../../common/types/record.ts";
import type { SqlArray } from "../../common/types/array.ts";
import type { AggregateBody, FunctionCall } from "./function.ts";
import { testCall } from "./test-call.ts";
import type { Datum } from "../../common/types/type.ts";
import { RECORDED_FUNCTIONS, type RecordedCall } from "../../test/record/functions.ts";
import { KNOWN_DIFFERENCES } from "./recorded-differences.ts";
import { functionBody } from "./registry.ts";

const calls = JSON.parse(readFileSync(RECORDED_FUNCTIONS, "utf8")) as RecordedCall[];

function oidOfName(name: string): number {
  if (name.startsWith("_")) return arrayOidOf(oidOfName(name.slice(1))) ?? 0;
  return (Oid as Readonly<Record<string, number>>)[name] ?? 0;
}

function answerOf(recorded: RecordedCall): unknown {
  const [source, typeNames, texts, resultName] = recorded;
  const types = typeNames === "" ? [] : typeNames.split(",").map(oidOfName);
  const resultOid = oidOfName(resultName) || Oid.text;
  const call = testCall(types, resultOid);
  const body = functionBody(source.startsWith("agg:") ? `${source}:${types[0]}` : source);
  try {
    if (body?.kind === "aggregate")
      return aggregateAnswer(body, texts[0] as string, types[0] as number, call);
    const args = texts.map(
      (text, i) => lookupCodec(types[i] as number)?.parse(text, -1, call.context.types) as Datum,
    );
    const show = (value: Datum): string | null => {
      if (value === null) return null;
      if (typeof value === "boolean") return String(value);
      return lookupCodec(resultOid)?.format(value, call.context.types) ?? "";
    };
    if (body?.kind === "set") {
      const rows: (string | null)[] = [];
      for (const row of body.rows(args, call)) {
        if (rows.length === 40) break;
        rows.push(Array.isArray(row) ? rowText(row as Datum[], call) : show(row as Datum));
      }
      return { rows };
    }
    if (body?.kind !== "scalar") return "no scalar body";
    return show(body.row(args, call));
  } catch (error) {
    if (error instanceof SqlError) return `!${error.code} ${error.message}`;
    throw error;
  }
}

function aggregateAnswer(
  body: AggregateBody,
  values: string,
  oid: number,
  call: FunctionCall,
): string | null {
  const array = codecOf(arrayOidOf(oid) ?? 0).parse(values, -1, call.context.types) as SqlArray;
  let state = body.init(call);
  for (const value of array.elements)
    if (value !== null || !body.strict) state = body.step(state, [value], call);
  const result = body.finish(state, call);
  if (result === null) return null;
  return typeof result === "boolean"
    ? String(result)
    : codecOf(call.resultType.oid).format(result, call.context.types);
}

function rowText(values: readonly Datum[], call: FunctionCall): string {
  const record = new SqlRecord(
    values.map(() => Oid.text),
    values,
  );
  return lookupCodec(Oid.record)?.format(record, call.context.types) ?? "";
}

/** Floats may differ in the last place (libm's functions differ); comparison functions only promise a sign; char(n) recorded as text lost its padding. */
function isSame(recorded: RecordedCall, got: unknown): boolean {
  const want = recorded[4];
  if (JSON.stringify(want) === JSON.stringify(got)) return true;
  if (typeof want !== "string" || typeof got !== "string") return false;
  if (recorded[3] === "float8" || recorded[3] === "float4") {
    return Math.abs(Number(want) - Number(got)) <= 4e-15 * Math.abs(Number(want));
  }
  if (recorded[3] === "int4" && recorded[0].endsWith("cmp"))
    return Math.sign(Number(want)) === Math.sign(Number(got));
  return recorded[3] === "bpchar" && got.trimEnd() === want.trimEnd();
}

describe("functions answer as PostgreSQL 15 does", () => {
  const groups = group();
  for (const [source, list] of groups) {
    it(source, () => {
      const differences = list
        .map((recorded) => ({
          call: `${source}(${recorded[2].join(" | ")}) [${recorded[1]}]`,
          want: recorded[4],
          recorded,
          got: answerOf(recorded),
        }))
        .filter(
          ({ call, recorded, got }) =>
            !isSame(recorded, got) && !KNOWN_DIFFERENCES.some((known) => known.test(call)),
        );
      expect(differences).toEqual([]);
    });
  }
});

function group(): Map<string, RecordedCall[]> {
  const groups = new Map<string, RecordedCall[]>();
  for (const call of calls) {
    const list = groups.get(call[0]);
    if (list === undefined) groups.set(call[0], [call]);
    else list.push(call);
  }
  return groups;
}
