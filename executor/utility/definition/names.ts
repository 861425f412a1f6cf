// Names PostgreSQL makes up: t_pkey, t_a_b_key, t_a_seq, t_a_idx, cut to 63 bytes as makeObjectName does and made unique in
// the schema by a counter.
import type { CatalogSnapshot } from "../../../catalog/catalog.ts";
import type { TableEntry } from "../../../catalog/entries.ts";
import { quoteIdentifier } from "../../../common/identifier.ts";
import type { DefinitionContext } from "./context.ts";

/** PostgreSQL's NAMEDATALEN - 1. */
const MAX_NAME_BYTES = 63;

const encoder = new TextEncoder();
const byteCount = (text: string): number => encoder.encode(text).length;

/** `first_second_label`, the longer of the two names shortened first until the whole fits 63 bytes. */
export function makeObjectName(first: string, second: string | undefined, label: string): string {
  const overhead = byteCount(label) + 1 + (second === undefined ? 0 : 1);
  let one = first;
  let two = second ?? "";
  while (byteCount(one) + byteCount(two) + overhead > MAX_NAME_BYTES) {
    if (byteCount(one) > byteCount(two)) one = dropLast(one);
    else two = dropLast(two);
  }
  return second === undefined ? `${one}_${label}` : `${one}_${two}_${label}`;
}

function dropLast(text: string): string {
  const points = Array.from(text);
  points.pop();
  return points.join("");
}

/** As makeObjectName, with 1, 2, ... behind the label until no relation and no name of `taken` has it. */
export function chooseRelationName(
  catalog: CatalogSnapshot,
  schemaOid: number,
  first: string,
  second: string | undefined,
  label: string,
  taken: ReadonlySet<string>,
): string {
  for (let attempt = 0; ; attempt++) {
    const name = makeObjectName(first, second, attempt === 0 ? label : `${label}${attempt}`);
    if (!taken.has(name) && !relationExists(catalog, schemaOid, name)) return name;
  }
}

export interface NameParts {
  readonly first: string;
  readonly second: string | undefined;
  readonly label: string;
}

/** As chooseRelationName, but unlike every constraint of the schema and the names of `taken`. */
export function chooseConstraintName(
  catalog: CatalogSnapshot,
  schemaOid: number,
  { first, second, label }: NameParts,
  taken: ReadonlySet<string>,
): string {
  const known = new Set(taken);
  for (const relation of catalog.relationsIn(schemaOid)) {
    if (relation.kind !== "table") continue;
    for (const constraint of relation.table.constraints) known.add(constraint.name);
  }
  for (let attempt = 0; ; attempt++) {
    const name = makeObjectName(first, second, attempt === 0 ? label : `${label}${attempt}`);
    if (!known.has(name)) return name;
  }
}

/** Tables, indexes, sequences and views share one name space per schema. */
export function relationExists(catalog: CatalogSnapshot, schemaOid: number, name: string): boolean {
  for (const relation of catalog.relationsIn(schemaOid)) {
    switch (relation.kind) {
      case "table":
        if (relation.table.name === name) return true;
        break;
      case "index":
        if (relation.index.name === name) return true;
        break;
      case "sequence":
        if (relation.sequence.name === name) return true;
        break;
      case "virtual":
        if (relation.virtual.name === name) return true;
        break;
      case "view":
        if (relation.view.name === name) return true;
        break;
    }
  }
  return false;
}

/** schema.table as a statement names it. */
export function qualifiedName(table: TableEntry, context: DefinitionContext): string {
  const schema = context.catalog().entry("schema", table.schema)?.name ?? "pg_temp";
  return `${quoteIdentifier(schema)}.${quoteIdentifier(table.name)}`;
}
