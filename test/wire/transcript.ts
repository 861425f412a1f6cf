// Wire transcripts: what a client sends (F lines) and what PostgreSQL 15 answers (B lines), as text files.
//
//   # a comment
//   F query "SELECT 1"
//   B dataRow ["1"]
//   B readyForQuery I
//
// Consecutive F lines leave in one chunk. Then everything is read up to ReadyForQuery or CopyInResponse, or up to the message
// an `until` line names. pg-protocol, the codec of the `pg` driver, writes and reads the bytes: it is independent of ours.
// Recording replaces the B lines by what a PostgreSQL answers; replaying compares. A new transcript has a lone B where answers belong.
import { type Socket, connect } from "node:net";
import { parse as parseBackend, serialize } from "pg-protocol";

type BackendMessage = Parameters<Parameters<typeof parseBackend>[1]>[0];

export interface Address {
  readonly host: string;
  readonly port: number;
}

/** A transcript with fresh B lines from the server at `address`. */
export async function runTranscript(text: string, address: Address): Promise<string> {
  const client = await Client.open(address);
  const output: string[] = [];
  try {
    for (const part of partsOf(text)) {
      output.push(...part.lines);
      if (part.sends.length === 0) continue;
      client.send(part.sends);
      for (const message of await client.receive(part.until)) output.push(`B ${shown(message)}`);
    }
  } finally {
    client.close();
  }
  return `${output.join("\n").trimEnd()}\n`;
}

interface Part {
  /** Comments, blank lines and F lines as they stand in the file. */
  readonly lines: string[];
  readonly sends: Buffer[];
  until: string | undefined;
}

/** Runs of F lines with what stands before them; old B lines fall away. */
function partsOf(text: string): Part[] {
  const parts: Part[] = [{ lines: [], sends: [], until: undefined }];
  let isAnswered = false;
  for (const line of text.trimEnd().split("\n")) {
    if (line === "B" || line.startsWith("B ")) {
      isAnswered = true;
      continue;
    }
    if (isAnswered) parts.push({ lines: [], sends: [], until: undefined });
    isAnswered = false;
    const part = parts.at(-1) as Part;
    part.lines.push(line);
    if (line.startsWith("F ")) part.sends.push(encode(line.slice(2)));
    if (line.startsWith("until ")) {
      part.until = line.slice("until ".length);
      isAnswered = true;
    }
  }
  return parts;
}

/** `name argument`, the argument in JSON. */
function encode(line: string): Buffer {
  const [, name = "", argument = ""] = /^(\w+) ?(.*)$/s.exec(line) ?? [];
  const value: unknown = argument === "" ? undefined : JSON.parse(argument);
  switch (name) {
    case "startup":
      return serialize.startup(value as Record<string, string>);
    case "query":
      return serialize.query(value as string);
    case "parse":
      return serialize.parse(value as Parameters<typeof serialize.parse>[0]);
    case "bind":
      return bind(value as BindLine);
    case "describe":
      return serialize.describe(value as Parameters<typeof serialize.describe>[0]);
    case "execute":
      return serialize.execute(value as Parameters<typeof serialize.execute>[0]);
    case "close":
      return serialize.close(value as Parameters<typeof serialize.close>[0]);
    case "sync":
      return serialize.sync();
    case "flush":
      return serialize.flush();
    case "copyData":
      return serialize.copyData(Buffer.from(value as string));
    case "copyDone":
      return serialize.copyDone();
    case "copyFail":
      return serialize.copyFail(value as string);
    case "bytes":
      return Buffer.from(value as string, "hex");
    default:
      throw new Error(`unknown frontend message: ${line}`);
  }
}

interface BindLine {
  readonly portal?: string;
  readonly statement?: string;
  readonly formats?: readonly number[];
  /** Text, or {"hex": "..."} for binary values. */
  readonly values?: readonly (string | null | { readonly hex: string })[];
  readonly results?: readonly number[];
}

/** Written by hand: pg-protocol's own Bind has one format for all results. */
function bind({ portal = "", statement = "", formats = [], values = [], results = [] }: BindLine): Buffer {
  const int16 = (value: number): Buffer => {
    const bytes = Buffer.alloc(2);
    bytes.writeInt16BE(value);
    return bytes;
  };
  const int32 = (value: number): Buffer => {
    const bytes = Buffer.alloc(4);
    bytes.writeInt32BE(value);
    return bytes;
  };
  const encoded = values.map((value) => {
    if (value === null) return int32(-1);
    const bytes = typeof value === "string" ? Buffer.from(value) : Buffer.from(value.hex, "hex");
    return Buffer.concat([int32(bytes.length), bytes]);
  });
  const body = Buffer.concat([
    Buffer.from(`${portal}\0${statement}\0`),
    int16(formats.length),
    ...formats.map(int16),
    int16(values.length),
    ...encoded,
    int16(results.length),
    ...results.map(int16),
  ]);
  return Buffer.concat([Buffer.from("B"), int32(body.length + 4), body]);
}

const DEFAULT_ENDS = new Set(["readyForQuery", "copyInResponse", "end"]);
/** A server that has not answered by then will not. */
const ANSWER_TIMEOUT_MS = 10_000;

class Client {
  readonly #socket: Socket;
  readonly #messages: BackendMessage[] = [];
  #check: () => void = () => undefined;

  private constructor(socket: Socket) {
    this.#socket = socket;
    const receive = (message: BackendMessage): void => {
      this.#messages.push(message);
      this.#check();
    };
    socket.on("error", () => undefined);
    parseBackend(socket, receive).catch(() => undefined);
    socket.on("end", () => receive({ name: "end" } as unknown as BackendMessage));
  }

  static open({ host, port }: Address): Promise<Client> {
    return new Promise((resolve, reject) => {
      const socket = connect(port, host, () => resolve(new Client(socket)));
      socket.once("error", reject);
    });
  }

  send(frames: readonly Buffer[]): void {
    this.#socket.write(Buffer.concat(frames));
  }

  /** Everything up to the message that ends the answer. */
  receive(until: string | undefined): Promise<BackendMessage[]> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        const names = this.#messages.map((message) => message.name).join(", ");
        reject(new Error(`no ${until ?? "ReadyForQuery"} came, only: ${names}`));
      }, ANSWER_TIMEOUT_MS);
      this.#check = () => {
        const end = this.#messages.findIndex(({ name }) =>
          until === undefined ? DEFAULT_ENDS.has(name) : name === until || (name as string) === "end",
        );
        if (end < 0) return;
        clearTimeout(timer);
        this.#check = () => undefined;
        resolve(this.#messages.splice(0, end + 1));
      };
      this.#check();
    });
  }

  close(): void {
    this.#socket.destroy();
  }
}

/** One line per message: what a client can tell apart, without what differs from run to run. */
function shown(message: BackendMessage): string {
  const m = message as unknown as Record<string, unknown>;
  switch (message.name) {
    case "readyForQuery":
      return `readyForQuery ${String(m["status"])}`;
    case "dataRow":
      return `dataRow ${JSON.stringify(m["fields"])}`;
    case "commandComplete":
      return `commandComplete ${JSON.stringify(m["text"])}`;
    case "parameterStatus":
      return `parameterStatus ${String(m["parameterName"])} ${JSON.stringify(statusValue(m))}`;
    case "backendKeyData":
      return "backendKeyData";
    case "rowDescription":
      return `rowDescription ${(m["fields"] as Field[]).map(fieldText).join(" | ")}`;
    case "parameterDescription":
      return `parameterDescription ${JSON.stringify(m["dataTypeIDs"])}`;
    case "copyInResponse":
    case "copyOutResponse":
      return `${message.name} ${m["binary"] === true ? "binary" : "text"} ${JSON.stringify(m["columnTypes"])}`;
    case "copyData":
      return `copyData ${JSON.stringify(Buffer.from(m["chunk"] as Uint8Array).toString("utf8"))}`;
    case "error":
    case "notice":
      return `${message.name} ${JSON.stringify(errorFields(m))}`;
    default:
      return message.name;
  }
}

/** Versions differ in their last part and in the packager's remark. */
function statusValue(message: Record<string, unknown>): unknown {
  const value = message["parameterValue"];
  return message["parameterName"] === "server_version" ? String(value).split(".")[0] : value;
}

interface Field {
  readonly name: string;
  readonly columnID: number;
  readonly tableID: number;
  readonly dataTypeID: number;
  readonly dataTypeSize: number;
  readonly dataTypeModifier: number;
  readonly format: string;
}

function fieldText(field: Field): string {
  const origin = field.tableID === 0 ? "" : ` column ${field.columnID}`;
  const modifier = field.dataTypeModifier === -1 ? "" : ` modifier ${field.dataTypeModifier}`;
  return `${field.name} type ${field.dataTypeID} size ${field.dataTypeSize}${modifier}${origin} ${field.format}`;
}

const ERROR_FIELDS = [
  "severity",
  "code",
  "message",
  "detail",
  "hint",
  "position",
  "where",
  "schema",
  "table",
  "column",
  "dataType",
  "constraint",
];

function errorFields(message: Record<string, unknown>): Record<string, unknown> {
  // Where a given-up COPY stood is PostgreSQL's remark alone: the data it counts is never decoded here.
  const isGivenUp = String(message["message"]).startsWith("COPY from stdin failed");
  return Object.fromEntries(
    ERROR_FIELDS.flatMap((name) => {
      if (name === "where" && isGivenUp) return [];
      const value = name === "message" ? message["message"] : message[name];
      // The schema of temporary objects is numbered by session.
      const stable = typeof value === "string" ? value.replace(/^pg_temp_\d+$/, "pg_temp") : value;
      return stable === undefined ? [] : [[name, stable]];
    }),
  );
}
