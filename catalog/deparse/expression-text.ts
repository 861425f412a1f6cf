// Expressions in the catalogue are text, deparsed once the careful way: every operator in its own parentheses, as
// pg_get_expr prints them. The pretty form (psql's) drops those that precedence makes needless; PostgreSQL decides that on
// the tree, and here it is decided on the parenthesised text, which shows the same structure. Also here: sequences named in
// stored defaults print as the search path requires.
import { quoteLiteral } from "../../common/identifier.ts";
import { type NameScope, parseName } from "./identifier.ts";
import { faceOf, relationName } from "./relation.ts";

/** The text within its outermost pair of parentheses, when one pair holds all of it. */
export function withoutOuterParentheses(text: string): string {
  const trimmed = text.trim();
  return trimmed.startsWith("(") && closingParenthesis(trimmed, 0) === trimmed.length - 1
    ? trimmed.slice(1, -1)
    : trimmed;
}

/** Whether the deparser puts parentheses around the text: a call, a name or a literal stands alone, all else does not. */
export function isOperatorExpression(text: string): boolean {
  if (/^(?:[\w.]+|"[^"]*"|'(?:[^']|'')*'(?:::[\w ."]+(?:\([\d,]+\))?(?:\[\])?)?)$/.test(text)) return false;
  const call = /^[\w."]+\(/.exec(text);
  return call === null || closingParenthesis(text, call[0].length - 1) !== text.length - 1;
}

/** As pg_get_expr(.., true) and pg_get_constraintdef(.., true) print it. */
export function prettyExpression(text: string): string {
  const bare = castOperands(withoutOuterParentheses(text));
  const connective = connectiveOf(bare);
  if (connective === undefined) return bare;
  return mapGroups(
    bare,
    (open, close) => isConnected(bare, open, close),
    (group) => {
      const inner = prettyExpression(group);
      // AND binds tighter than OR, so only an OR inside an AND keeps its pair, and anything but a comparison under NOT.
      const below = connectiveOf(inner);
      const keepsPair = below === "OR" ? connective !== "OR" : below === "AND" && connective === "NOT";
      return keepsPair ? `(${inner})` : inner;
    },
  );
}

/** (1)::numeric becomes 1::numeric, (lower(t))::text lower(t)::text, at every depth. */
function castOperands(text: string): string {
  return mapGroups(
    text,
    () => true,
    (group, open, close) => {
      const inner = castOperands(group);
      const isOperand = text.startsWith("::", close + 1) && !/[\w"]/.test(text[open - 1] ?? "");
      return isOperand && standsAlone(inner) ? inner : `(${inner})`;
    },
  );
}

/** A word, a call, a CASE, what has parentheses of its own, or a cast of one of these. */
function standsAlone(text: string): boolean {
  const outside = mapGroups(
    text,
    () => true,
    () => "()",
  );
  return /^(?:\nCASE\b[^]*\bEND|(?:[\w.]+|"[^"]*")?(?:\(\))?)(?:::[\w ."]+(?:\(\))?(?:\[\])?)*$/.test(
    outside,
  );
}

/** The connective of a boolean expression's top level: found outside quotes and parentheses. */
function connectiveOf(text: string): "AND" | "OR" | "NOT" | undefined {
  const outside = mapGroups(
    text,
    () => true,
    () => "",
  );
  if (/(^| )OR( |$)/.test(outside)) return "OR";
  // BETWEEN never appears in deparsed text, so AND is always the connective.
  if (/(^| )AND( |$)/.test(outside)) return "AND";
  return text.startsWith("NOT ") ? "NOT" : undefined;
}

/** Replaces the top-level parenthesised groups, parentheses included, that `applies` picks. */
function mapGroups(
  text: string,
  applies: (open: number, close: number) => boolean,
  replace: (inner: string, open: number, close: number) => string,
): string {
  let result = "";
  let start = 0;
  for (let i = 0; i < text.length; i++) {
    const char = text[i];
    if (char === "'" || char === '"') {
      i = closingQuote(text, i);
    } else if (char === "(") {
      const end = closingParenthesis(text, i);
      if (end < 0) break;
      if (applies(i, end)) {
        result += text.slice(start, i) + replace(text.slice(i + 1, end), i, end);
        start = end + 1;
      }
      i = end;
    }
  }
  return result + text.slice(start);
}

/** Whether the group stands next to AND, OR or NOT, rather than being the operand of another operator. */
function isConnected(text: string, open: number, close: number): boolean {
  return (
    /(?:^|\b(?:AND|OR|NOT) )$/.test(text.slice(0, open)) && /^(?:$| (?:AND|OR)\b)/.test(text.slice(close + 1))
  );
}

function closingParenthesis(text: string, open: number): number {
  let depth = 0;
  for (let i = open; i < text.length; i++) {
    const char = text[i];
    if (char === "'" || char === '"') i = closingQuote(text, i);
    else if (char === "(") depth++;
    else if (char === ")" && --depth === 0) return i;
  }
  return -1;
}

/** End of a quoted part; doubled quotes read as two parts side by side, which comes to the same. */
function closingQuote(text: string, open: number): number {
  const end = text.indexOf(text[open] ?? "", open + 1);
  return end < 0 ? text.length : end;
}

/** 'schema.name'::regclass inside a stored expression, printed as regclass prints under this search path. */
export function expressionText(scope: NameScope, text: string): string {
  return text.replace(/'((?:[^']|'')*)'::regclass/g, (whole: string, quoted: string) => {
    const parts = parseName(quoted.replaceAll("''", "'"));
    const name = parts?.at(-1);
    if (parts === undefined || name === undefined) return whole;
    const ref = scope.catalog.relation(parts.length > 1 ? parts.at(-2) : undefined, name, scope.searchPath);
    return ref === undefined ? whole : `${quoteLiteral(relationName(scope, faceOf(ref)))}::regclass`;
  });
}
