// Templates of to_char, to_date and to_timestamp for dates and times: cut into fields and literal text (formatting.c's
// keyword table). Keywords match in upper or lower case; Month, Mon, Day and Dy also capitalised, which decides the output's case.
import { SqlError, SqlState } from "../../common/error.ts";

export type TemplateItem =
  | { readonly kind: "literal"; readonly text: string; readonly isSeparator: boolean }
  | {
      readonly kind: "field";
      /** Canonical upper-case keyword. */
      readonly name: string;
      /** As written: decides the case of names. */
      readonly written: string;
      /** FM: no padding. */
      readonly fill: boolean;
      /** TH or th after it. */
      readonly ordinal: "TH" | "th" | undefined;
    };

const KEYWORDS = [
  "A.D.",
  "A.M.",
  "AD",
  "AM",
  "B.C.",
  "BC",
  "CC",
  "DAY",
  "DDD",
  "DD",
  "DY",
  "D",
  "FF1",
  "FF2",
  "FF3",
  "FF4",
  "FF5",
  "FF6",
  "HH24",
  "HH12",
  "HH",
  "IDDD",
  "ID",
  "IW",
  "IYYY",
  "IYY",
  "IY",
  "I",
  "J",
  "MI",
  "MM",
  "MONTH",
  "MON",
  "MS",
  "OF",
  "P.M.",
  "PM",
  "Q",
  "RM",
  "SSSSS",
  "SSSS",
  "SS",
  "TZH",
  "TZM",
  "TZ",
  "US",
  "WW",
  "W",
  "Y,YYY",
  "YYYY",
  "YYY",
  "YY",
  "Y",
].toSorted((a, b) => b.length - a.length);

const CAPITALISED = new Set(["Month", "Mon", "Day", "Dy"]);
const MAX_CACHED_TEMPLATES = 64;
const cache = new Map<string, readonly TemplateItem[]>();

/** Items of a template, remembered. */
export function dateTemplate(text: string): readonly TemplateItem[] {
  let items = cache.get(text);
  if (items === undefined) {
    items = parse(text);
    if (cache.size >= MAX_CACHED_TEMPLATES) cache.clear();
    cache.set(text, items);
  }
  return items;
}

function parse(template: string): TemplateItem[] {
  const items: TemplateItem[] = [];
  let at = 0;
  while (at < template.length) {
    const prefix = /^(?:FM|fm|TM|tm|FX|fx)+/.exec(template.slice(at))?.[0] ?? "";
    const keyword = keywordAt(template, at + prefix.length);
    if (keyword !== undefined) {
      at += prefix.length + keyword.length;
      const suffix = /^(?:TH|th)/.exec(template.slice(at))?.[0] as "TH" | "th" | undefined;
      at += suffix?.length ?? 0;
      const fill = /FM/i.test(prefix);
      items.push({ kind: "field", name: keyword.toUpperCase(), written: keyword, fill, ordinal: suffix });
    } else if (prefix !== "") at += prefix.length;
    else at = literal(template, at, items);
  }
  return items;
}

function keywordAt(template: string, at: number): string | undefined {
  for (const keyword of KEYWORDS) {
    const written = template.slice(at, at + keyword.length);
    if (written === keyword || written === keyword.toLowerCase()) return written;
    if (written.toUpperCase() === keyword && CAPITALISED.has(written)) return written;
  }
  return undefined;
}

/** "quoted text", \c, or one character. */
function literal(template: string, at: number, items: TemplateItem[]): number {
  if (template[at] === '"') {
    let text = "";
    let i = at + 1;
    for (; i < template.length && template[i] !== '"'; i++) {
      if (template[i] === "\\" && i + 1 < template.length) i += 1;
      text += template[i];
    }
    items.push({ kind: "literal", text, isSeparator: false });
    return i + 1;
  }
  // A backslash is one, except before a quote.
  const isEscaped = template[at] === "\\" && template[at + 1] === '"';
  const from = isEscaped ? at + 1 : at;
  const text = String.fromCodePoint(template.codePointAt(from) as number);
  items.push({ kind: "literal", text, isSeparator: /^[\x20-\x7e]$/.test(text) && !/[A-Za-z0-9]/.test(text) });
  return from + text.length;
}

export function invalidTemplate(message: string, detail?: string, hint?: string): SqlError {
  return new SqlError(SqlState.invalidDatetimeFormat, message, { detail, hint });
}
