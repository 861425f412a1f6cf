// COPY's WITH (...) list -> the executor's CopyFormat, with PostgreSQL's checks in PostgreSQL's order and words
// (ProcessCopyOptions). Codes that look odd (0A000 for a delimiter of two characters) are PostgreSQL's too.
import { notSupported, SqlError, SqlState } from "../../common/error.ts";
import { type CopyFormat, CSV_FORMAT, TEXT_FORMAT, BINARY_FORMAT } from "../../executor/utility/copy.ts";
import type { Node } from "../../parser/tree.ts";
import { parseBool } from "../setting-values.ts";
import {
  type CommandOption,
  booleanOption,
  commandOptions,
  constantText,
  textOption,
} from "./option-value.ts";

/** What the options are checked against. */
export interface CopyTarget {
  readonly isFrom: boolean;
  /** Names of the copied columns, in order. */
  readonly columns: readonly string[];
  /** The relation named in "does not exist" messages. */
  readonly relation: string;
}

type Given = ReadonlyMap<string, CommandOption>;

const KNOWN = new Set([
  "format",
  "freeze",
  "delimiter",
  "null",
  "header",
  "quote",
  "escape",
  "force_quote",
  "force_not_null",
  "force_null",
  "encoding",
]);

export function copyFormat(options: readonly Node[] | undefined, target: CopyTarget): CopyFormat {
  const given = collect(options);
  const base = baseFormat(given.get("format"));
  checkBinary(base, given);
  checkEncoding(given.get("encoding"));
  const text = (name: string, otherwise: string): string => {
    const option = given.get(name);
    return option === undefined ? otherwise : textOption(option);
  };
  const quote = text("quote", base.quote);
  const format: CopyFormat = {
    ...base,
    delimiter: text("delimiter", base.delimiter),
    nullString: text("null", base.nullString),
    header: readHeader(given.get("header"), target),
    quote,
    escape: text("escape", base.format === "csv" ? quote : base.escape),
    forceQuote: columnList(given.get("force_quote"), target),
    forceNotNull: columnList(given.get("force_not_null"), target),
    forceNull: columnList(given.get("force_null"), target),
  };
  checkCharacters(format);
  checkCsvOnly(format, given, target);
  return format;
}

function collect(options: readonly Node[] | undefined): Given {
  const given = new Map<string, CommandOption>();
  for (const option of commandOptions(options)) {
    const position = option.position || undefined;
    if (!KNOWN.has(option.name)) {
      throw new SqlError(SqlState.syntaxError, `option "${option.name}" not recognized`, { position });
    }
    if (given.has(option.name)) {
      throw new SqlError(SqlState.syntaxError, "conflicting or redundant options", { position });
    }
    given.set(option.name, option);
  }
  return given;
}

function baseFormat(option: CommandOption | undefined): CopyFormat {
  const name = option === undefined ? "text" : textOption(option);
  switch (name) {
    case "text":
      return TEXT_FORMAT;
    case "csv":
      return CSV_FORMAT;
    case "binary":
      return BINARY_FORMAT;
    default:
      throw new SqlError(SqlState.invalidParameterValue, `COPY format "${name}" not recognized`, {
        position: option?.position || undefined,
      });
  }
}

function checkBinary(format: CopyFormat, given: Given): void {
  if (format.format !== "binary") return;
  if (given.has("delimiter"))
    throw new SqlError(SqlState.syntaxError, "cannot specify DELIMITER in BINARY mode");
  if (given.has("null")) throw new SqlError(SqlState.syntaxError, "cannot specify NULL in BINARY mode");
  const header = given.get("header");
  if (header !== undefined && booleanOption(header)) throw refused("cannot specify HEADER in BINARY mode");
}

function checkEncoding(option: CommandOption | undefined): void {
  if (option === undefined) return;
  const name = textOption(option);
  if (/^(utf-?8|unicode)$/i.test(name)) return;
  if (/^[a-z]+[-_]?\d*$/i.test(name)) throw notSupported(`COPY with encoding "${name}" (only UTF8)`);
  throw new SqlError(
    SqlState.invalidParameterValue,
    'argument to option "encoding" must be a valid encoding name',
    { position: option.position || undefined },
  );
}

function readHeader(option: CommandOption | undefined, target: CopyTarget): boolean {
  if (option === undefined) return false;
  const text = option.arg === undefined ? "true" : (constantText(option.arg) ?? "");
  const value = parseBool(text);
  if (value !== undefined) return value;
  if (text.toLowerCase() !== "match") {
    throw new SqlError(SqlState.syntaxError, `${option.name} requires a Boolean value or "match"`);
  }
  if (!target.isFrom) throw refused('cannot use "match" with HEADER in COPY TO');
  throw notSupported("HEADER MATCH");
}

function checkCharacters(format: CopyFormat): void {
  if (format.format === "binary") return;
  const isCsv = format.format === "csv";
  const { delimiter, nullString, quote, escape } = format;
  if (Buffer.byteLength(delimiter) !== 1) throw refused("COPY delimiter must be a single one-byte character");
  if (/[\r\n]/.test(delimiter)) throw invalid("COPY delimiter cannot be newline or carriage return");
  if (/[\r\n]/.test(nullString))
    throw invalid("COPY null representation cannot use newline or carriage return");
  if (!isCsv && /[\\.a-z0-9]/.test(delimiter)) throw invalid(`COPY delimiter cannot be "${delimiter}"`);
  if (!isCsv) {
    if (nullString.includes(delimiter))
      throw refused("COPY delimiter must not appear in the NULL specification");
    return;
  }
  if (Buffer.byteLength(quote) !== 1) throw refused("COPY quote must be a single one-byte character");
  if (delimiter === quote) throw invalid("COPY delimiter and quote must be different");
  if (Buffer.byteLength(escape) !== 1) throw refused("COPY escape must be a single one-byte character");
  if (nullString.includes(delimiter))
    throw refused("COPY delimiter must not appear in the NULL specification");
  if (nullString.includes(quote))
    throw refused("CSV quote character must not appear in the NULL specification");
}

function checkCsvOnly(format: CopyFormat, given: Given, { isFrom }: CopyTarget): void {
  const rules = [
    ["quote", "quote", undefined],
    ["escape", "escape", undefined],
    ["force_quote", "force quote", false],
    ["force_not_null", "force not null", true],
    ["force_null", "force null", true],
  ] as const;
  for (const [name, shown, onlyFrom] of rules) {
    if (!given.has(name)) continue;
    if (format.format !== "csv") throw refused(`COPY ${shown} available only in CSV mode`);
    if (onlyFrom !== undefined && onlyFrom !== isFrom) {
      throw refused(`COPY ${shown} only available using COPY ${onlyFrom ? "FROM" : "TO"}`);
    }
  }
}

/** Positions of the columns of FORCE_QUOTE (a, b) or FORCE_QUOTE *. */
function columnList(option: CommandOption | undefined, target: CopyTarget): readonly number[] {
  const arg = option?.arg;
  if (arg === undefined) return [];
  if ("A_Star" in arg) return target.columns.map((_, index) => index);
  if (!("List" in arg)) {
    throw new SqlError(
      SqlState.invalidParameterValue,
      `argument to option "${option?.name ?? ""}" must be a list of column names`,
    );
  }
  return (arg.List.items ?? []).map((item) => {
    const name = constantText(item) ?? "";
    const index = target.columns.indexOf(name);
    if (index >= 0) return index;
    throw new SqlError(
      SqlState.undefinedColumn,
      `column "${name}" of relation "${target.relation}" does not exist`,
    );
  });
}

function refused(message: string): SqlError {
  return new SqlError(SqlState.featureNotSupported, message);
}

function invalid(message: string): SqlError {
  return new SqlError(SqlState.invalidParameterValue, message);
}
