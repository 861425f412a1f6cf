// Text input and output against PostgreSQL 15's recorded answers (test/record/types.ts makes them), and every value that was
// read sent and stored and read back.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { SqlError } from "../error.ts";
import { Oid, arrayOidOf } from "./oid.ts";
import { codecOf } from "./registry.ts";
import type { TypeContext } from "./type.ts";

type Entry =
  | readonly [type: string, typmod: number, text: string, answer: string]
  | readonly ["set", string, string];

const path = join(import.meta.dirname, "../../test/record/recorded/types.json");
const entries = JSON.parse(readFileSync(path, "utf8")) as Entry[];

let context: TypeContext = {
  dateStyle: { format: "ISO", order: "MDY" },
  intervalStyle: "postgres",
  timeZone: "America/New_York",
  extraFloatDigits: 1,
  byteaOutput: "hex",
  now: () => 0,
};

function oidOf(name: string): number {
  if (name.startsWith("_")) return arrayOidOf(oidOf(name.slice(1))) ?? 0;
  return (Oid as Readonly<Record<string, number>>)[name] ?? 0;
}

function withSetting(name: string, value: string): TypeContext {
  if (name === "intervalstyle") return { ...context, intervalStyle: value as TypeContext["intervalStyle"] };
  const [format, order] = value.split(",");
  return { ...context, dateStyle: { format, order } as TypeContext["dateStyle"] };
}

function answer(type: string, typmod: number, text: string, settings: TypeContext): string {
  const codec = codecOf(oidOf(type));
  try {
    const value = codec.parse(text, typmod, settings);
    const shown = codec.format(value, settings);
    expect(codec.format(codec.receive(codec.send(value), -1, settings), settings)).toBe(shown);
    expect(codec.format(codec.fromStorage(codec.toStorage(value)), settings)).toBe(shown);
    // A cast of bool to text makes words of it.
    return typeof value === "boolean" ? String(value) : shown;
  } catch (error) {
    if (!(error instanceof SqlError)) throw error;
    const detail = error.fields.detail === undefined ? "" : ` DETAIL: ${error.fields.detail}`;
    const hint = error.fields.hint === undefined ? "" : ` HINT: ${error.fields.hint}`;
    return `!${error.code} ${error.message}${detail}${hint}`;
  }
}

describe("types read and print as PostgreSQL 15", () => {
  for (const entry of entries) {
    if (entry[0] === "set") {
      context = withSetting(`${entry[1]}`, entry[2]);
      continue;
    }
    const [type, typmod, text, want] = entry as readonly [string, number, string, string];
    const settings = context;
    const name = `${type} ${JSON.stringify(text)} (${settings.dateStyle.format}, ${settings.intervalStyle})`;
    it(name, () => expect(answer(type, typmod, text, settings)).toBe(want));
  }
});
