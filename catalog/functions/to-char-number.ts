// to_char of numbers and to_number (NUM_processor of formatting.c). A template gives a place to each digit; the number is
// rounded to its fraction digits and laid out right-aligned, '#' everywhere when its integer part is too long.
import { SqlError, SqlState, notSupported } from "../../common/error.ts";
import { charactersOf } from "../../common/types/text.ts";
import { Numeric } from "../../common/types/numeric.ts";
import { type BodyTable, binary } from "./body.ts";
import type { Int8 } from "./integer.ts";
import { ordinalSuffix } from "./to-char-date.ts";

type Token =
  | { readonly kind: "digit"; readonly isZero: boolean }
  | { readonly kind: "point" | "group" | "currency" | "S" | "MI" | "PL" | "SG" }
  | { readonly kind: "ordinal"; readonly style: "TH" | "th" }
  | { readonly kind: "literal"; readonly text: string };

interface NumberTemplate {
  readonly tokens: readonly Token[];
  readonly integerDigits: number;
  readonly fractionDigits: number;
  readonly fill: boolean;
  readonly angle: boolean;
  readonly roman: "RN" | "rn" | undefined;
  readonly exponent: boolean;
  /** V: digits the value is multiplied by powers of ten for. */
  readonly shift: number;
}

const KEYWORD = /FM|EEEE|PR|MI|PL|SG|RN|TH|[09.,DGLSVB]/iy;

function parse(template: string): NumberTemplate {
  const tokens: Token[] = [];
  let [integerDigits, fractionDigits, shift] = [0, 0, 0];
  let [fill, angle, exponent, hasPoint, hasShift] = [false, false, false, false, false];
  let roman: "RN" | "rn" | undefined;
  for (let at = 0; at < template.length; ) {
    KEYWORD.lastIndex = at;
    const match = KEYWORD.exec(template);
    const word = match?.[0].toUpperCase();
    if (match === null || word === undefined) {
      const quoted = /^"((?:[^"\\]|\\.)*)"?/.exec(template.slice(at));
      tokens.push({
        kind: "literal",
        text: quoted === null ? (template[at] as string) : (quoted[1] as string),
      });
      at += quoted?.[0].length ?? 1;
      continue;
    }
    at += match[0].length;
    switch (word) {
      case "0":
      case "9":
        tokens.push({ kind: "digit", isZero: word === "0" });
        if (hasShift) shift += 1;
        else if (hasPoint) fractionDigits += 1;
        else integerDigits += 1;
        break;
      case ".":
      case "D":
        if (hasPoint) throw new SqlError(SqlState.syntaxError, "multiple decimal points");
        hasPoint = true;
        tokens.push({ kind: "point" });
        break;
      case ",":
      case "G":
        tokens.push({ kind: "group" });
        break;
      case "L":
        tokens.push({ kind: "currency" });
        break;
      case "V":
        if (hasPoint) throw new SqlError(SqlState.syntaxError, 'cannot use "V" and decimal point together');
        hasShift = true;
        break;
      case "FM":
        fill = true;
        break;
      case "PR":
        angle = true;
        break;
      case "EEEE":
        exponent = true;
        break;
      case "RN":
        roman = match[0] === "rn" ? "rn" : "RN";
        break;
      case "TH":
        tokens.push({ kind: "ordinal", style: match[0] === "th" ? "th" : "TH" });
        break;
      case "S":
      case "MI":
      case "PL":
      case "SG":
        tokens.push({ kind: word });
        break;
      default:
        break;
    }
  }
  return { tokens, integerDigits, fractionDigits, fill, angle, roman, exponent, shift };
}

const ROMAN_DIGITS: readonly (readonly [number, string])[] = [
  [1000, "M"],
  [900, "CM"],
  [500, "D"],
  [400, "CD"],
  [100, "C"],
  [90, "XC"],
  [50, "L"],
  [40, "XL"],
  [10, "X"],
  [9, "IX"],
  [5, "V"],
  [4, "IV"],
  [1, "I"],
];

/** Fifteen places, '#' outside 1..3999. */
function romanText(value: Numeric, template: NumberTemplate): string {
  let rest = Number(value.round(0).toString());
  if (!(rest >= 1 && rest <= 3999)) return "#".repeat(15);
  let text = "";
  for (const [size, digits] of ROMAN_DIGITS) {
    while (rest >= size) {
      text += digits;
      rest -= size;
    }
  }
  if (template.roman === "rn") text = text.toLowerCase();
  return template.fill ? text : text.padStart(15);
}

function exponentText(value: Numeric, template: NumberTemplate): string {
  if (!value.isFinite) return ` ${"#".repeat(template.integerDigits + template.fractionDigits + 6)}`;
  const text = value.toNumber().toExponential(template.fractionDigits);
  const match = /^(-?)(.*)e([+-])(\d+)$/.exec(text) as RegExpExecArray;
  return `${match[1] === "-" ? "-" : " "}${match[2]}e${match[3]}${(match[4] as string).padStart(2, "0")}`;
}

function numberText(value: Numeric, pattern: string): string {
  const template = parse(pattern);
  if (template.roman !== undefined) return romanText(value, template);
  if (template.exponent) return exponentText(value, template);
  const shifted =
    template.shift === 0 ? value : value.multiply(Numeric.fromInteger(10n ** BigInt(template.shift)));
  const rounded = shifted.isFinite ? shifted.round(template.fractionDigits) : shifted;
  const isNegative = rounded.isFinite ? rounded.sign < 0 : value.kind === "-infinity";
  const places = template.integerDigits + template.shift;
  let [integer, fraction] = (rounded.isFinite ? rounded.abs().toString() : "0").split(".") as [
    string,
    string | undefined,
  ];
  const isTooLong = !rounded.isFinite || (integer.length > places && integer !== "0");
  if (isTooLong) {
    integer = "#".repeat(places);
    fraction = "#".repeat(template.fractionDigits);
  } else if (integer === "0") integer = "";
  return layout(template, integer, fraction ?? "", isNegative, isTooLong, rounded.isFinite && rounded.isZero);
}

/** Puts the digits in their places; the sign goes before the first digit unless the template has a place for it. */
function layout(
  template: NumberTemplate,
  integer: string,
  fraction: string,
  isNegative: boolean,
  isTooLong: boolean,
  isZero: boolean,
): string {
  const places = template.integerDigits + template.shift;
  const firstZero = zeroFrom(template);
  const hasOwnSign =
    template.angle || template.tokens.some((token) => "S|MI|SG".split("|").includes(token.kind));
  // Where a zero would stand alone before the point it is shown only with a 0 place, or when nothing else would be.
  const padded = integer.padStart(places, " ");
  const digits: string[] = charactersOf(padded).map((digit, i) =>
    digit === " " && firstZero >= 0 && i >= firstZero ? "0" : digit,
  );
  if (template.fractionDigits === 0 && digits.length > 0 && digits.at(-1) === " ")
    digits[digits.length - 1] = "0";
  const fractionShown = template.fill ? trimFraction(template, fraction) : fraction;
  // FM leaves nothing of 0.00, so a zero stays.
  if (isZero && template.fill && fractionShown === "" && digits.at(-1) === " ")
    digits[digits.length - 1] = "0";
  let out = "";
  let hasStarted = false;
  let [place, fractionPlace] = [0, 0];
  let isInFraction = false;
  const sign = isNegative ? "-" : " ";
  const start = (): void => {
    if (hasStarted) return;
    hasStarted = true;
    if (template.angle) out += isNegative ? "<" : " ";
    else if (!hasOwnSign) out += sign;
    else if (leadingSign(template)) out += isNegative ? "-" : "+";
  };
  for (const token of template.tokens) {
    switch (token.kind) {
      case "digit":
        if (isInFraction) {
          out += fractionShown[fractionPlace++] ?? "";
          break;
        }
        if (digits[place] !== " ") start();
        out += digits[place++] ?? "";
        break;
      case "group":
        if (hasStarted || isTooLong) out += ",";
        else if (!template.fill) out += " ";
        break;
      case "point":
        start();
        isInFraction = true;
        out += ".";
        break;
      case "S":
        if (out.trim() !== "" || hasStarted) out += isNegative ? "-" : "+";
        break;
      case "MI":
        out += isNegative ? "-" : template.fill ? "" : " ";
        break;
      case "PL":
        out += isNegative ? (template.fill ? "" : " ") : "+";
        break;
      case "SG":
        out += isNegative ? "-" : "+";
        break;
      case "currency":
        out += " ";
        break;
      case "ordinal":
        if (!isNegative && !isTooLong) out += ordinalSuffix(Number(integer || "0"), token.style);
        break;
      case "literal":
        out += token.text;
        break;
    }
  }
  if (!hasStarted && !hasOwnSign) out = sign + out;
  if (template.angle) out += isNegative ? ">" : template.fill ? "" : " ";
  return template.fill ? out.replaceAll(" ", "") : out;
}

/** Position of the first 0 place among the integer places; -1 = none. */
function zeroFrom(template: NumberTemplate): number {
  let place = 0;
  for (const token of template.tokens) {
    if (token.kind === "point") break;
    if (token.kind !== "digit") continue;
    if (token.isZero) return place;
    place += 1;
  }
  return -1;
}

/** S before the digits. */
function leadingSign(template: NumberTemplate): boolean {
  for (const token of template.tokens) {
    if (token.kind === "S") return true;
    if (token.kind === "digit") return false;
  }
  return false;
}

/** FM drops trailing zeros down to the last 0 place. */
function trimFraction(template: NumberTemplate, fraction: string): string {
  let keep = 0;
  let place = 0;
  let isInFraction = false;
  for (const token of template.tokens) {
    if (token.kind === "point") isInFraction = true;
    else if (token.kind === "digit" && isInFraction) {
      place += 1;
      if (token.isZero) keep = place;
    }
  }
  let end = fraction.length;
  while (end > keep && fraction[end - 1] === "0") end -= 1;
  return fraction.slice(0, end);
}

/** Digits, point and sign of a text by its template; everything else is passed over. */
function toNumber(text: string, pattern: string): Numeric | null {
  if (pattern === "") return null;
  const template = parse(pattern);
  if (template.exponent) throw notSupported('"EEEE" for input');
  if (template.roman !== undefined) throw notSupported('"RN" for input');
  const isNegative = /-|<.*>/.test(text);
  const cleaned = text.replace(/[^0-9.]/g, "");
  const [integer, ...fractions] = cleaned.split(".") as [string, ...string[]];
  const wholeDigits = integer.slice(0, template.integerDigits + template.shift);
  const fraction = fractions.join("").slice(0, template.fractionDigits);
  if (wholeDigits === "" && fraction === "") {
    throw new SqlError(
      SqlState.invalidTextRepresentation,
      `invalid input syntax for type numeric: "${isNegative ? "-" : " "}"`,
    );
  }
  let value = Numeric.parse(
    `${wholeDigits === "" ? "0" : wholeDigits}${fraction === "" ? "" : `.${fraction}`}`,
  );
  if (template.shift > 0) value = value.divide(Numeric.fromInteger(10n ** BigInt(template.shift)));
  return isNegative ? value.negate() : value;
}

function toChar(convert: (value: never) => Numeric): BodyTable[string] {
  return binary<never, string>((value, pattern) =>
    pattern === "" ? "" : numberText(convert(value), pattern),
  );
}

export const toCharNumberFunctions: BodyTable = {
  int4_to_char: toChar((value: number) => Numeric.fromInteger(value)),
  int8_to_char: toChar((value: Int8) => Numeric.fromInteger(value)),
  numeric_to_char: toChar((value: Numeric) => value),
  float4_to_char: toChar((value: number) => Numeric.fromFloat(value, 6)),
  float8_to_char: toChar((value: number) => Numeric.fromFloat(value)),
  numeric_to_number: binary<string, string>(toNumber),
};
