// Lists of identifiers in a setting: search_path's "a, "B c"" to its names and back (PostgreSQL's SplitIdentifierString).
import { quoteIdentifier } from "../common/identifier.ts";

export function parseNameList(text: string): string[] {
  const names: string[] = [];
  for (const match of text.matchAll(/"((?:[^"]|"")*)"|([^,\s"]+)/g)) {
    const [, quoted, plain] = match;
    const name = quoted !== undefined ? quoted.replaceAll('""', '"') : (plain ?? "").toLowerCase();
    if (name !== "") names.push(name);
  }
  return names;
}

export function formatNameList(names: readonly string[]): string {
  return names.map((name) => (name === "" ? '""' : quoteIdentifier(name))).join(", ");
}
