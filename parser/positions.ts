// libpg-query counts bytes of UTF-8, PostgreSQL's ErrorResponse counts characters (code points), JavaScript slices UTF-16
// units. For text that is all ASCII the three agree; else one table per statement translates.

/** Keys of the tree that hold byte offsets. */
const OFFSET_KEYS: ReadonlySet<string> = new Set([
  "location",
  "list_start",
  "list_end",
  "rexpr_list_start",
  "rexpr_list_end",
  "name_location",
]);

/** Translates byte offsets of one text. */
export interface OffsetMap {
  /** Byte offset -> character offset. */
  toCharacter(byte: number): number;
  /** Byte offset -> index for String.slice. */
  toUnit(byte: number): number;
}

const IDENTITY: OffsetMap = { toCharacter: (byte) => byte, toUnit: (byte) => byte };

/** The map of a text; the identity where every character is one byte. */
export function offsetMap(text: string): OffsetMap {
  if (isAscii(text)) return IDENTITY;
  const units: number[] = [];
  const characters: number[] = [];
  let unit = 0;
  let character = 0;
  for (const sign of text) {
    const code = sign.codePointAt(0) ?? 0;
    const width = code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
    for (let i = 0; i < width; i++) {
      units.push(unit);
      characters.push(character);
    }
    unit += sign.length;
    character += 1;
  }
  return {
    toCharacter: (byte) => characters[byte] ?? character,
    toUnit: (byte) => units[byte] ?? unit,
  };
}

/** Rewrites every offset of a freshly parsed tree in place. */
export function translateOffsets(tree: unknown, map: OffsetMap): void {
  if (map === IDENTITY) return;
  walk(tree, map);
}

function walk(value: unknown, map: OffsetMap): void {
  if (Array.isArray(value)) {
    for (const item of value) walk(item, map);
    return;
  }
  if (typeof value !== "object" || value === null) return;
  const object = value as Record<string, unknown>;
  for (const key in object) {
    const field = object[key];
    if (typeof field === "number") {
      if (field > 0 && OFFSET_KEYS.has(key)) object[key] = map.toCharacter(field);
    } else walk(field, map);
  }
}

function isAscii(text: string): boolean {
  for (let i = 0; i < text.length; i++) if (text.charCodeAt(i) > 0x7f) return false;
  return true;
}
