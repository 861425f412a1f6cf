// jsonb. The value is PostgreSQL's canonical text (keys unique, sorted by length, then bytes; one blank after ':' and ','),
// so equality is string equality but for numbers of different scale, and operators work on the parsed tree, which is
// remembered for recently used texts.
import { SqlError, SqlState } from "../error.ts";
import { type JsonNode, parseJson, quoteJson } from "./json-text.ts";
import { Numeric } from "./numeric.ts";
import { Oid } from "./oid.ts";
import { compareText, decodeClientText, opaqueTextCodec } from "./text.ts";
import type { TypeCodec } from "./type.ts";

const encoder = new TextEncoder();

/** Parsed trees kept; each text at most MAX_CACHED_LENGTH, so a few MB at worst. */
const MAX_CACHED_TREES = 512;
const MAX_CACHED_LENGTH = 8192;
const trees = new Map<string, JsonNode>();

/** The tree of a jsonb value; must not be changed by the caller. */
export function jsonbTree(text: string): JsonNode {
  if (text.length > MAX_CACHED_LENGTH) return parseJson(text);
  const known = trees.get(text);
  if (known !== undefined) return known;
  const tree = parseJson(text);
  if (trees.size >= MAX_CACHED_TREES) {
    for (const oldest of trees.keys()) {
      trees.delete(oldest);
      break;
    }
  }
  trees.set(text, tree);
  return tree;
}

/** Canonical text of a tree. */
export function jsonbText(node: JsonNode): string {
  if (node === null) return "null";
  if (typeof node === "boolean") return node ? "true" : "false";
  if (typeof node === "string") return quoteJson(node);
  if (node instanceof Numeric) return node.toString();
  if (Array.isArray(node)) return `[${(node as readonly JsonNode[]).map(jsonbText).join(", ")}]`;
  const members = sortedKeys(node as ReadonlyMap<string, JsonNode>).map(
    (key) => `${quoteJson(key)}: ${jsonbText((node as ReadonlyMap<string, JsonNode>).get(key) as JsonNode)}`,
  );
  return `{${members.join(", ")}}`;
}

/** Keys in jsonb's order: by byte length, then bytes. */
export function sortedKeys(object: ReadonlyMap<string, JsonNode>): string[] {
  return [...object.keys()].sort(compareKeys);
}

function compareKeys(a: string, b: string): number {
  return Buffer.byteLength(a) - Buffer.byteLength(b) || compareText(a, b);
}

/** Canonical text of any JSON text. */
export function canonicalJsonb(text: string): string {
  return jsonbText(parseJson(text));
}

/** jsonb's btree order: null < string < number < boolean < array < object; longer containers above shorter ones. */
export function compareJsonb(a: JsonNode, b: JsonNode): number {
  // A bare scalar at the top is stored as an array of one, and is told apart only after the lengths (jsonb_util.c).
  const isScalar = (node: JsonNode): boolean => !isContainer(node);
  if (Array.isArray(a) && isScalar(b)) return a.length === 0 ? -1 : 1;
  if (isScalar(a) && Array.isArray(b)) return b.length === 0 ? 1 : -1;
  return compareNodes(a, b);
}

export function isContainer(node: JsonNode): boolean {
  return node instanceof Map || Array.isArray(node);
}

function compareNodes(a: JsonNode, b: JsonNode): number {
  const rank = nodeRank(a) - nodeRank(b);
  if (rank !== 0) return rank;
  if (typeof a === "string") return compareText(a, b as string);
  if (typeof a === "boolean") return Number(a) - Number(b);
  if (a instanceof Numeric) return a.compare(b as Numeric);
  if (Array.isArray(a)) return compareArrays(a as readonly JsonNode[], b as readonly JsonNode[]);
  if (a instanceof Map) return compareObjects(a, b as ReadonlyMap<string, JsonNode>);
  return 0;
}

function compareArrays(a: readonly JsonNode[], b: readonly JsonNode[]): number {
  if (a.length !== b.length) return a.length - b.length;
  for (let i = 0; i < a.length; i++) {
    const order = compareNodes(a[i] as JsonNode, b[i] as JsonNode);
    if (order !== 0) return order;
  }
  return 0;
}

function compareObjects(a: ReadonlyMap<string, JsonNode>, b: ReadonlyMap<string, JsonNode>): number {
  if (a.size !== b.size) return a.size - b.size;
  const leftKeys = sortedKeys(a);
  const rightKeys = sortedKeys(b);
  for (let i = 0; i < leftKeys.length; i++) {
    const left = leftKeys[i] as string;
    const right = rightKeys[i] as string;
    if (left !== right) return compareText(left, right);
    const order = compareNodes(a.get(left) as JsonNode, b.get(right) as JsonNode);
    if (order !== 0) return order;
  }
  return 0;
}

function nodeRank(node: JsonNode): number {
  if (node === null) return 0;
  if (typeof node === "string") return 1;
  if (node instanceof Numeric) return 2;
  if (typeof node === "boolean") return 3;
  return Array.isArray(node) ? 4 : 5;
}

function hashNode(node: JsonNode): string {
  return jsonbText(withoutScales(node));
}

/** 1.0 and 1.00 are equal: numbers lose their trailing zeros. */
function withoutScales(node: JsonNode): JsonNode {
  if (node instanceof Numeric) return node.trimZeros(0);
  if (Array.isArray(node)) return (node as readonly JsonNode[]).map(withoutScales);
  if (node instanceof Map) {
    return new Map(
      [...(node as ReadonlyMap<string, JsonNode>)].map(([key, value]) => [key, withoutScales(value)]),
    );
  }
  return node;
}

export const jsonbCodec: TypeCodec = {
  ...opaqueTextCodec(Oid.jsonb, "jsonb"),
  parse: (text) => canonicalJsonb(text),
  // One version byte, then the text.
  receive: (bytes) => {
    const version = bytes[0];
    if (version !== 1) {
      throw new SqlError(SqlState.internalError, `unsupported jsonb version number ${version ?? 0}`);
    }
    return canonicalJsonb(decodeClientText(bytes.subarray(1)));
  },
  send: (value) => {
    const text = encoder.encode(value as string);
    const out = new Uint8Array(text.length + 1);
    out[0] = 1;
    out.set(text, 1);
    return out;
  },
  compare: (a, b) => (a === b ? 0 : compareJsonb(jsonbTree(a as string), jsonbTree(b as string))),
  hashKey: (value) =>
    /\.\d*0(?!\d)/.test(value as string) ? hashNode(jsonbTree(value as string)) : (value as string),
};
