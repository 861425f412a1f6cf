// Translates PostgreSQL's advanced regular expressions (Henry Spencer's ARE, documentation section 9.7.3) into the syntax of
// the linear-time engine (Rust's regex crate). The result uses no flags but case: "." and anchors are written out.
// Not translated, because they cannot run in linear time: back-references and look-around, 0A000 by name.
// A difference remains: where several matches start at the same place an ARE takes the longest, and the engine the first
// alternative. Whether there is a match is always the same.
import { SqlError, SqlState, notSupported } from "../../common/error.ts";
import { charactersOf } from "../../common/types/text.ts";

export interface RegexSource {
  readonly pattern: string;
  readonly caseInsensitive: boolean;
  readonly groupCount: number;
}

/** Options as the flags argument or an embedded (?...) gives them. */
export interface RegexOptions {
  caseInsensitive: boolean;
  /** n, m: newline ends lines for both anchors and '.'; p only for '.', w only for anchors. */
  dotStopsAtNewline: boolean;
  anchorsAtLines: boolean;
  literal: boolean;
  expanded: boolean;
}

/** DUPMAX of the regular expression library. */
const MAX_REPETITIONS = 255;
const MAX_GROUP_DEPTH = 500;

export function defaultOptions(): RegexOptions {
  return {
    caseInsensitive: false,
    dotStopsAtNewline: false,
    anchorsAtLines: false,
    literal: false,
    expanded: false,
  };
}

/** Applies one flag letter; false = unknown. */
export function applyFlag(options: RegexOptions, flag: string): boolean {
  switch (flag) {
    case "i":
      options.caseInsensitive = true;
      return true;
    case "c":
      options.caseInsensitive = false;
      return true;
    case "n":
    case "m":
      options.dotStopsAtNewline = true;
      options.anchorsAtLines = true;
      return true;
    case "s":
      options.dotStopsAtNewline = false;
      options.anchorsAtLines = false;
      return true;
    case "p":
      options.dotStopsAtNewline = true;
      options.anchorsAtLines = false;
      return true;
    case "w":
      options.dotStopsAtNewline = false;
      options.anchorsAtLines = true;
      return true;
    case "q":
      options.literal = true;
      return true;
    case "x":
      options.expanded = true;
      return true;
    case "t":
      options.expanded = false;
      return true;
    case "b":
    case "e":
      return true;
    default:
      return false;
  }
}

export function invalidRegex(reason: string): SqlError {
  return new SqlError(SqlState.invalidRegularExpression, `invalid regular expression: ${reason}`);
}

export function translateRegex(pattern: string, given: RegexOptions): RegexSource {
  const options = { ...given };
  let body = pattern;
  if (!options.literal) {
    if (body.startsWith("***=")) {
      options.literal = true;
      body = body.slice(4);
    } else if (body.startsWith("***:")) body = body.slice(4);
    const embedded = options.literal ? null : /^\(\?([a-z]+)\)/.exec(body);
    if (embedded !== null) {
      for (const flag of embedded[1] as string)
        if (!applyFlag(options, flag)) throw invalidRegex("invalid embedded option");
      body = body.slice(embedded[0].length);
    }
  }
  if (options.literal)
    return { pattern: escapeLiteral(body), caseInsensitive: options.caseInsensitive, groupCount: 0 };
  return new Translator(body, options).translate();
}

function escapeLiteral(text: string): string {
  return text.replace(/[\\^$.|?*+()[\]{}\-&~#/]/g, (symbol) =>
    symbol === "&" || symbol === "~" || symbol === "#" || symbol === "-" || symbol === "/"
      ? symbol
      : `\\${symbol}`,
  );
}

const CLASSES: Readonly<Record<string, string>> = {
  alpha: "\\p{L}",
  digit: "0-9",
  alnum: "\\p{L}\\p{N}",
  upper: "\\p{Lu}",
  lower: "\\p{Ll}",
  space: " \\t\\n\\r\\f\\v",
  blank: " \\t",
  punct: "\\p{P}\\p{S}",
  cntrl: "\\x00-\\x1f\\x7f",
  xdigit: "0-9A-Fa-f",
  graph: "\\p{L}\\p{M}\\p{N}\\p{P}\\p{S}",
  print: "\\p{L}\\p{M}\\p{N}\\p{P}\\p{S} ",
  word: "\\p{L}\\p{N}_",
};

/** Members of \d \w \s. */
const SHORTHAND: Readonly<Record<string, string>> = {
  d: CLASSES["digit"] as string,
  w: CLASSES["word"] as string,
  s: CLASSES["space"] as string,
};

const CHARACTER_ESCAPES: Readonly<Record<string, number>> = {
  a: 7,
  b: 8,
  e: 27,
  f: 12,
  n: 10,
  r: 13,
  t: 9,
  v: 11,
};

class Translator {
  readonly #text: readonly string[];
  readonly #options: RegexOptions;
  #at = 0;
  #groups = 0;
  #depth = 0;

  constructor(text: string, options: RegexOptions) {
    this.#text = charactersOf(text);
    this.#options = options;
  }

  translate(): RegexSource {
    const pattern = this.#alternation();
    if (this.#at < this.#text.length) throw invalidRegex("parentheses () not balanced");
    return { pattern, caseInsensitive: this.#options.caseInsensitive, groupCount: this.#groups };
  }

  #peek(offset = 0): string | undefined {
    return this.#text[this.#at + offset];
  }

  #skipExpanded(): void {
    while (this.#options.expanded) {
      const symbol = this.#peek();
      if (symbol === "#") while (this.#at < this.#text.length && this.#peek() !== "\n") this.#at += 1;
      else if (symbol !== undefined && /\s/.test(symbol)) this.#at += 1;
      else return;
    }
  }

  #alternation(): string {
    let out = this.#branch();
    while (this.#peek() === "|") {
      this.#at += 1;
      out += `|${this.#branch()}`;
    }
    return out;
  }

  #branch(): string {
    let out = "";
    for (;;) {
      this.#skipExpanded();
      const symbol = this.#peek();
      if (symbol === undefined || symbol === "|" || (symbol === ")" && this.#depth > 0)) return out;
      const isQuantifiable = symbol !== "^" && symbol !== "$";
      const atom = this.#atom();
      out += atom + this.#quantifier(isQuantifiable && atom !== "");
    }
  }

  #atom(): string {
    const symbol = this.#peek() as string;
    this.#at += 1;
    switch (symbol) {
      case "(":
        return this.#group();
      case ")":
        throw invalidRegex("parentheses () not balanced");
      case "[":
        return this.#bracket();
      case ".":
        return this.#options.dotStopsAtNewline ? "[^\\n]" : "[\\s\\S]";
      case "^":
        return this.#options.anchorsAtLines ? "(?m:^)" : "^";
      case "$":
        return this.#options.anchorsAtLines ? "(?m:$)" : "$";
      case "*":
      case "+":
      case "?":
        throw invalidRegex("quantifier operand invalid");
      case "{":
        if (/[0-9]/.test(this.#peek() ?? "")) throw invalidRegex("quantifier operand invalid");
        return "\\{";
      case "\\":
        return this.#escape();
      default:
        return escapeLiteral(symbol);
    }
  }

  #group(): string {
    let prefix = "(";
    if (this.#peek() === "?") {
      const kind = this.#peek(1);
      if (kind === ":") {
        prefix = "(?:";
        this.#at += 2;
      } else if (kind === "#") {
        while (this.#at < this.#text.length && this.#peek() !== ")") this.#at += 1;
        if (this.#peek() === undefined) throw invalidRegex("parentheses () not balanced");
        this.#at += 1;
        return "";
      } else if (kind === "=" || kind === "!" || kind === "<") {
        throw notSupported("look-around in regular expressions");
      } else throw invalidRegex("quantifier operand invalid");
    } else this.#groups += 1;
    this.#depth += 1;
    if (this.#depth > MAX_GROUP_DEPTH) throw invalidRegex("regular expression is too complex");
    const inner = this.#alternation();
    if (this.#peek() !== ")") throw invalidRegex("parentheses () not balanced");
    this.#at += 1;
    this.#depth -= 1;
    return `${prefix}${inner})`;
  }

  #quantifier(isAllowed: boolean): string {
    this.#skipExpanded();
    const symbol = this.#peek();
    let out = "";
    if (symbol === "*" || symbol === "+" || symbol === "?") {
      out = symbol;
      this.#at += 1;
    } else if (symbol === "{" && /[0-9]/.test(this.#peek(1) ?? "")) out = this.#bound();
    else return "";
    // PostgreSQL ignores nothing here: ^* is an error, as is a quantifier after a quantifier.
    if (!isAllowed) throw invalidRegex("quantifier operand invalid");
    if (this.#peek() === "?") {
      this.#at += 1;
      out += "?";
    }
    const next = this.#peek();
    if (next === "*" || next === "+" || next === "?" || (next === "{" && /[0-9]/.test(this.#peek(1) ?? ""))) {
      throw invalidRegex("quantifier operand invalid");
    }
    return out;
  }

  #bound(): string {
    const end = this.#text.indexOf("}", this.#at);
    const match = end < 0 ? null : /^\{(\d+)(?:(,)(\d*))?$/.exec(this.#text.slice(this.#at, end).join(""));
    if (match === null) throw invalidRegex("braces {} not balanced");
    const low = Number(match[1]);
    const high = match[3] === undefined || match[3] === "" ? low : Number(match[3]);
    if (low > MAX_REPETITIONS || high > MAX_REPETITIONS || high < low)
      throw invalidRegex("invalid repetition count(s)");
    this.#at = end + 1;
    return `${match[0]}}`;
  }

  /** After a backslash, outside brackets. */
  #escape(): string {
    const symbol = this.#peek();
    if (symbol === undefined) throw invalidRegex("invalid escape \\ sequence");
    this.#at += 1;
    const lower = symbol.toLowerCase();
    if (lower === "d" || lower === "w" || lower === "s")
      return `[${symbol === lower ? "" : "^"}${SHORTHAND[lower]}]`;
    switch (symbol) {
      case "A":
        return "^";
      case "Z":
        return "$";
      case "m":
        return "\\b{start}";
      case "M":
        return "\\b{end}";
      case "y":
        return "\\b";
      case "Y":
        return "\\B";
      default:
        break;
    }
    if (/[1-9]/.test(symbol)) {
      throw notSupported("back-references in regular expressions");
    }
    return this.#literal(this.#escapedCharacter(symbol));
  }

  #literal(code: number): string {
    return escapeLiteral(String.fromCodePoint(code));
  }

  /** Code point of a character escape whose letter is `symbol`. */
  #escapedCharacter(symbol: string): number {
    const known = CHARACTER_ESCAPES[symbol];
    if (known !== undefined) return known;
    switch (symbol) {
      case "B":
        return 92;
      case "0":
        return 0;
      case "c": {
        const control = this.#peek();
        if (control === undefined) throw invalidRegex("invalid escape \\ sequence");
        this.#at += 1;
        return (control.codePointAt(0) as number) & 31;
      }
      case "u":
        return this.#hex(4);
      case "U":
        return this.#hex(8);
      case "x":
        return this.#hex(undefined);
      default:
        break;
    }
    if (/[A-Za-z0-9]/.test(symbol)) throw invalidRegex("invalid escape \\ sequence");
    return symbol.codePointAt(0) as number;
  }

  #hex(length: number | undefined): number {
    let digits = "";
    while (digits.length < (length ?? 255) && /[0-9a-fA-F]/.test(this.#peek() ?? "")) {
      digits += this.#peek();
      this.#at += 1;
    }
    const code = Number.parseInt(digits, 16);
    if (digits === "" || (length !== undefined && digits.length < length) || code > 0x10ffff) {
      throw invalidRegex("invalid escape \\ sequence");
    }
    return code;
  }

  /** After '[': a bracket expression. */
  #bracket(): string {
    if (this.#text.slice(this.#at, this.#at + 6).join("") === "[:<:]]") {
      this.#at += 6;
      return "\\b{start}";
    }
    if (this.#text.slice(this.#at, this.#at + 6).join("") === "[:>:]]") {
      this.#at += 6;
      return "\\b{end}";
    }
    let out = "[";
    if (this.#peek() === "^") {
      out += "^";
      this.#at += 1;
      if (this.#options.dotStopsAtNewline) out += "\\n";
    }
    for (let isFirst = true; ; isFirst = false) {
      const symbol = this.#peek();
      if (symbol === undefined) throw invalidRegex("brackets [] not balanced");
      if (symbol === "]" && !isFirst) {
        this.#at += 1;
        return `${out}]`;
      }
      out += this.#bracketItem();
    }
  }

  #bracketItem(): string {
    if (this.#peek() === "[" && this.#peek(1) === ":") return this.#namedClass();
    if (this.#peek() === "\\" && /[dswDSW]/.test(this.#peek(1) ?? "")) {
      const letter = this.#peek(1) as string;
      this.#at += 2;
      const members = SHORTHAND[letter.toLowerCase()] as string;
      return letter === letter.toLowerCase() ? members : `[^${members}]`;
    }
    const low = this.#bracketCharacter();
    if (this.#peek() !== "-" || this.#peek(1) === "]" || this.#peek(1) === undefined)
      return bracketLiteral(low);
    this.#at += 1;
    const high = this.#bracketCharacter();
    if (high < low) throw invalidRegex("invalid character range");
    return `${bracketLiteral(low)}-${bracketLiteral(high)}`;
  }

  #namedClass(): string {
    const end = this.#text.indexOf("]", this.#at);
    const match = end < 0 ? null : /^\[:([a-z]+):$/.exec(this.#text.slice(this.#at, end).join(""));
    const members = match === null ? undefined : CLASSES[match[1] as string];
    if (members === undefined) throw invalidRegex("invalid character class");
    this.#at = end + 1;
    return members;
  }

  #bracketCharacter(): number {
    const symbol = this.#peek() as string;
    this.#at += 1;
    if (symbol === "\\") {
      const letter = this.#peek();
      if (letter === undefined) throw invalidRegex("brackets [] not balanced");
      this.#at += 1;
      return this.#escapedCharacter(letter);
    }
    const kind = this.#peek();
    if (symbol === "[" && (kind === "." || kind === "=")) {
      const inner = this.#peek(1);
      if (inner === undefined || this.#peek(2) !== kind || this.#peek(3) !== "]")
        throw invalidRegex("invalid collating element");
      this.#at += 4;
      return inner.codePointAt(0) as number;
    }
    return symbol.codePointAt(0) as number;
  }
}

function bracketLiteral(code: number): string {
  const symbol = String.fromCodePoint(code);
  return /[\\\]^[\-&~|]/.test(symbol) ? `\\${symbol}` : symbol;
}
