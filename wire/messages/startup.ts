// The untyped packets that open a connection: StartupMessage, SSLRequest, GSSENCRequest, CancelRequest.
import { SqlError, SqlState } from "../../common/error.ts";
import type { MessageReader } from "../codec/message-reader.ts";

const SSL_REQUEST = 80877103;
const GSSENC_REQUEST = 80877104;
const CANCEL_REQUEST = 80877102;
const MAJOR_VERSION = 3;

export type StartupPacket =
  | { readonly kind: "ssl" }
  | { readonly kind: "gssenc" }
  | { readonly kind: "cancel"; readonly processId: number; readonly secretKey: number }
  | {
      readonly kind: "startup";
      readonly minorVersion: number;
      readonly parameters: ReadonlyMap<string, string>;
      /** Parameters named _pq_.*: protocol options, none of which is known. */
      readonly protocolOptions: readonly string[];
    };

/** Reads one packet. Throws FATAL 0A000 for another protocol version and 08P01 for a malformed one. */
export function readStartupPacket(reader: MessageReader): StartupPacket {
  const code = reader.int32();
  switch (code) {
    case SSL_REQUEST:
      return { kind: "ssl" };
    case GSSENC_REQUEST:
      return { kind: "gssenc" };
    case CANCEL_REQUEST:
      return { kind: "cancel", processId: reader.int32(), secretKey: reader.int32() };
    default:
      return readStartupMessage(reader, code);
  }
}

function readStartupMessage(reader: MessageReader, code: number): StartupPacket {
  const major = code >>> 16;
  const minor = code & 0xffff;
  if (major !== MAJOR_VERSION) {
    throw new SqlError(
      SqlState.featureNotSupported,
      `unsupported frontend protocol ${major}.${minor}: server supports 3.0 to 3.0`,
      { severity: "FATAL" },
    );
  }
  if (!reader.endsWithZero()) throw badLayout();
  const parameters = new Map<string, string>();
  const protocolOptions: string[] = [];
  for (;;) {
    if (reader.remaining === 0) throw badLayout();
    const name = reader.cstring();
    if (name === "") break;
    if (reader.remaining === 0) throw badLayout();
    const value = reader.cstring();
    if (name.startsWith("_pq_.")) protocolOptions.push(name);
    else parameters.set(name, value);
  }
  if (reader.remaining !== 0) throw badLayout();
  return { kind: "startup", minorVersion: minor, parameters, protocolOptions };
}

function badLayout(): SqlError {
  return new SqlError(
    SqlState.protocolViolation,
    "invalid startup packet layout: expected terminator as last byte",
    { severity: "FATAL" },
  );
}

/**
 * Splits the `options` parameter as PostgreSQL's pg_split_opts: words at blanks, a backslash keeps the next character. Gives
 * the settings of `-c name=value`, `-cname=value` and `--name=value`; anything else is FATAL 42601 as there.
 */
export function readOptions(options: string): readonly (readonly [string, string])[] {
  const words = splitWords(options);
  const settings: (readonly [string, string])[] = [];
  for (let i = 0; i < words.length; i++) {
    const word = words[i] as string;
    let assignment: string | undefined;
    if (word === "-c") assignment = words[++i];
    else if (word.startsWith("-c")) assignment = word.slice(2);
    else if (word.startsWith("--")) assignment = word.slice(2);
    const equals = assignment?.indexOf("=") ?? -1;
    if (assignment === undefined || equals < 1) {
      throw new SqlError(SqlState.syntaxError, `invalid command-line argument for server process: ${word}`, {
        severity: "FATAL",
        hint: 'Try "postgres --help" for more information.',
      });
    }
    settings.push([assignment.slice(0, equals).replaceAll("-", "_"), assignment.slice(equals + 1)]);
  }
  return settings;
}

function splitWords(text: string): string[] {
  const words: string[] = [];
  let word = "";
  let isInWord = false;
  for (let i = 0; i < text.length; i++) {
    const char = text[i] as string;
    if (/\s/.test(char)) {
      if (isInWord) words.push(word);
      word = "";
      isInWord = false;
      continue;
    }
    isInWord = true;
    word += char === "\\" && i + 1 < text.length ? (text[++i] as string) : char;
  }
  if (isInWord) words.push(word);
  return words;
}
