// WITH (...) of CREATE INDEX and ALTER INDEX SET: which options an access method has, and PostgreSQL's messages about them.
import type { IndexEntry } from "../../../catalog/entries.ts";
import { notSupported, SqlError, SqlState } from "../../../common/error.ts";
import { type Node, positionOf, stringsOf } from "../../../parser/tree.ts";

export type IndexOptions = IndexEntry["options"];

interface OptionRange {
  readonly kind: "int" | "real" | "enum";
  readonly min?: number;
  readonly max?: number;
  readonly values?: readonly string[];
}

const OPTIONS: Readonly<Record<IndexEntry["method"], Readonly<Record<string, OptionRange>>>> = {
  btree: {
    fillfactor: { kind: "int", min: 10, max: 100 },
    deduplicate_items: { kind: "enum", values: ["on", "off", "true", "false"] },
  },
  hnsw: {
    m: { kind: "int", min: 2, max: 100 },
    ef_construction: { kind: "int", min: 4, max: 1000 },
    quantization: { kind: "enum", values: ["auto", "none", "f16", "sq8", "rabitq", "bq", "pq"] },
    rerank: { kind: "int", min: 0, max: 1000 },
  },
  ivfflat: { lists: { kind: "int", min: 1, max: 32_768 } },
  bm25: {
    text_config: { kind: "enum", values: ["english", "simple"] },
    k1: { kind: "real", min: 0.1, max: 10 },
    b: { kind: "real", min: 0, max: 1 },
  },
};

/** Names known and values in range, in their order; words in lower case. */
export function bindOptions(
  options: readonly Node[] | undefined,
  method: IndexEntry["method"],
): IndexOptions {
  const known = OPTIONS[method];
  return (options ?? []).map((node) => {
    if (!("DefElem" in node)) throw notSupported("this index option");
    const name = node.DefElem.defname ?? "";
    const range = known[name];
    if (range === undefined)
      throw new SqlError(SqlState.invalidParameterValue, `unrecognized parameter "${name}"`);
    const value = optionText(node.DefElem.arg);
    checkOption(name, value, range, positionOf(node.DefElem.location));
    return [name, range.kind === "enum" ? value.toLowerCase() : value] as const;
  });
}

function optionText(arg: Node | undefined): string {
  if (arg === undefined) return "true";
  if ("Integer" in arg) return String(arg.Integer.ival ?? 0);
  if ("Float" in arg) return arg.Float.fval ?? "0";
  if ("String" in arg) return arg.String.sval ?? "";
  if ("Boolean" in arg) return String(arg.Boolean.boolval ?? false);
  if ("TypeName" in arg) return stringsOf(arg.TypeName.names).at(-1) ?? "";
  throw notSupported("this index option value");
}

/** PostgreSQL's reloption messages. */
function checkOption(name: string, text: string, range: OptionRange, position: number): void {
  if (range.kind === "enum") {
    if (range.values?.includes(text.toLowerCase())) return;
    throw new SqlError(SqlState.invalidParameterValue, `invalid value for option "${name}": ${text}`, {
      hint: `Available values: ${(range.values ?? []).join(", ")}.`,
      position: position || undefined,
    });
  }
  const value = Number(text);
  const isNumber =
    text.trim() !== "" && Number.isFinite(value) && (range.kind === "real" || Number.isInteger(value));
  if (!isNumber) {
    const what = range.kind === "int" ? "integer" : "floating point";
    throw new SqlError(SqlState.invalidParameterValue, `invalid value for ${what} option "${name}": ${text}`);
  }
  if (value < (range.min ?? -Infinity) || value > (range.max ?? Infinity)) {
    throw new SqlError(SqlState.invalidParameterValue, `value ${text} out of bounds for option "${name}"`, {
      detail: `Valid values are between "${range.min}" and "${range.max}".`,
    });
  }
}

/** Codes that tell directions apart: L1 distances cannot be told from them. */
const ANGULAR: ReadonlySet<string> = new Set(["rabitq", "bq"]);

/** What options of an hnsw index must be to each other (pgvector's check, and ours), under an operator class. */
export function checkGraphOptions(options: IndexOptions, opclass: string): void {
  const option = (name: string): string | undefined => options.find(([key]) => key === name)?.[1];
  if (Number(option("ef_construction") ?? 64) < 2 * Number(option("m") ?? 16)) {
    throw new SqlError(
      SqlState.invalidParameterValue,
      "ef_construction must be greater than or equal to 2 * m",
    );
  }
  const quantization = (option("quantization") ?? "auto").toLowerCase();
  // What "auto" comes to is not known before the build, and may be nothing to rank again.
  const isSaid = quantization !== "auto" && quantization !== "none";
  if (option("rerank") !== undefined && !isSaid)
    throw new SqlError(SqlState.invalidParameterValue, 'option "rerank" needs a "quantization"');
  const isDense = !/^(bit|sparsevec)_/.test(opclass);
  const isOfAngles = ANGULAR.has(quantization);
  if (isSaid && (!isDense || (isOfAngles && opclass.endsWith("_l1_ops"))))
    throw notSupported(`quantization "${quantization}" under operator class "${opclass}"`);
}
