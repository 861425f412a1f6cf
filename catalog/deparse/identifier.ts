// Names as PostgreSQL prints them: quoted where an unquoted identifier would be read back differently, and qualified with
// the schema where the search path would find something else or nothing.
import { qualifiedIdentifier, quoteIdentifier } from "../../common/identifier.ts";
import type { CatalogSnapshot } from "../catalog.ts";

/** Where a name is printed for: what is visible decides what must be qualified. */
export interface NameScope {
  readonly catalog: CatalogSnapshot;
  /** Schemas in force, implicit ones included. */
  readonly searchPath: readonly string[];
}

export function schemaName(catalog: CatalogSnapshot, oid: number): string {
  return catalog.entry("schema", oid)?.name ?? "";
}

/** schema.name, each part quoted where needed. */
export function qualified(schema: string, name: string): string {
  return schema === "" ? quoteIdentifier(name) : qualifiedIdentifier(schema, name);
}

/** Parts of a possibly qualified name as users write it: quotes removed, unquoted parts in lower case; undefined = malformed. */
export function parseName(text: string): readonly string[] | undefined {
  const parts: string[] = [];
  // Anything but blanks, dots and quotes goes for an unquoted part, as SplitIdentifierString has it.
  const pattern = /\s*(?:"((?:[^"]|"")+)"|([^\s."]+))\s*(\.|$)/y;
  let end = 0;
  for (;;) {
    pattern.lastIndex = end;
    const match = pattern.exec(text);
    if (match === null) return undefined;
    parts.push(match[1] === undefined ? (match[2] ?? "").toLowerCase() : match[1].replaceAll('""', '"'));
    end = pattern.lastIndex;
    if (match[3] === "") return end === text.length ? parts : undefined;
  }
}
