// From the first byte to ReadyForQuery: encryption requests, the startup packet, authentication, the greeting.
//
//   SSLRequest ─ S ─> TLS, again     GSSENCRequest, SSLRequest without a certificate ─ N ─> again
//   CancelRequest ─> done            StartupMessage ─> trust ─> open session
//                                                   └> SASL ─> SASLContinue ─> SASLFinal ─> open session
//
// The connection feeds it frames; the answer says how to go on. Errors here are FATAL and end the connection.
import { randomBytes } from "node:crypto";
import { SqlError, SqlState } from "../common/error.ts";
import type { SessionClient } from "../session/result.ts";
import type { WireSession } from "../session/wire-session.ts";
import { SCRAM_MECHANISM, ScramExchange, type ScramVerifier, makeVerifier } from "./auth/scram.ts";
import { type FrameReader, MAX_AUTH_BYTES } from "./codec/frame-reader.ts";
import type { MessageReader } from "./codec/message-reader.ts";
import {
  readSaslInitialResponse,
  readSaslResponse,
  writeSasl,
  writeSaslContinue,
  writeSaslFinal,
} from "./messages/authentication.ts";
import {
  Reply,
  writeBackendKeyData,
  writeNegotiateProtocolVersion,
  writeParameterStatus,
} from "./messages/backend.ts";
import { FrontendType, sessionFrameLimit } from "./messages/frontend.ts";
import { type StartupPacket, readOptions, readStartupPacket } from "./messages/startup.ts";
import type { Outlet } from "./outlet.ts";

export interface SessionRequest {
  readonly user: string;
  readonly database: string;
  /** Settings from the startup packet in its order; later ones win. */
  readonly settings: readonly (readonly [string, string])[];
}

/** What a connection needs from its server. */
export interface ConnectionHost {
  /** Opens the session; throws FATAL 28000, 3D000 ... */
  openSession(request: SessionRequest, client: SessionClient): WireSession;
  /** Serves a CancelRequest. Says nothing about whether it hit. */
  cancel(processId: number, secretKey: number): void;
  /** "trust", or how to find the verifier of a user; undefined = no such user or no password. */
  readonly authentication: "trust" | ((user: string) => ScramVerifier | undefined);
  readonly hasTls: boolean;
  /** Set when no session can be opened now: 53300 or 57P03. */
  refusal(): SqlError | undefined;
}

type StartupMessage = Extract<StartupPacket, { kind: "startup" }>;

/** What the connection does next. */
export type HandshakeStep =
  | { readonly kind: "more" }
  | { readonly kind: "tls" }
  | { readonly kind: "end" }
  | { readonly kind: "ready"; readonly session: WireSession };

const MORE: HandshakeStep = { kind: "more" };
const END: HandshakeStep = { kind: "end" };
const REFUSED_ENCRYPTION = Buffer.from("N");
const ACCEPTED_ENCRYPTION = Buffer.from("S");

/** Only the response to an authentication request is a message before the session runs. */
function authenticationFrameLimit(type: number): number | undefined {
  return type === FrontendType.password ? MAX_AUTH_BYTES : undefined;
}

export class Handshake {
  readonly #host: ConnectionHost;
  readonly #client: SessionClient;
  readonly #outlet: Outlet;
  readonly #reader: FrameReader;
  #state: "startup" | "sasl" | "sasl-response" = "startup";
  #isEncrypted = false;
  #startup: StartupMessage | undefined;
  #exchange: ScramExchange | undefined;

  constructor(host: ConnectionHost, client: SessionClient, outlet: Outlet, reader: FrameReader) {
    this.#host = host;
    this.#client = client;
    this.#outlet = outlet;
    this.#reader = reader;
  }

  /** Takes one frame. Throws FATAL SqlErrors. */
  frame(message: MessageReader): HandshakeStep {
    switch (this.#state) {
      case "startup":
        return this.#onStartup(readStartupPacket(message));
      case "sasl":
        return this.#onSaslInitialResponse(message);
      case "sasl-response":
        return this.#onSaslResponse(message);
    }
  }

  #onStartup(packet: StartupPacket): HandshakeStep {
    switch (packet.kind) {
      case "ssl":
        if (!this.#host.hasTls || this.#isEncrypted) return this.#refuseEncryption();
        this.#isEncrypted = true;
        this.#outlet.writer.raw(ACCEPTED_ENCRYPTION);
        return { kind: "tls" };
      case "gssenc":
        return this.#refuseEncryption();
      case "cancel":
        this.#host.cancel(packet.processId, packet.secretKey);
        return END;
      case "startup":
        return this.#onStartupMessage(packet);
    }
  }

  #refuseEncryption(): HandshakeStep {
    this.#outlet.writer.raw(REFUSED_ENCRYPTION);
    return MORE;
  }

  #onStartupMessage(packet: StartupMessage): HandshakeStep {
    this.#startup = packet;
    if (packet.minorVersion > 0 || packet.protocolOptions.length > 0) {
      writeNegotiateProtocolVersion(this.#outlet.writer, packet.protocolOptions);
    }
    const user = packet.parameters.get("user") ?? "";
    if (user === "") {
      throw fatal(
        SqlState.invalidAuthorizationSpecification,
        "no PostgreSQL user name specified in startup packet",
      );
    }
    const refusal = this.#host.refusal();
    if (refusal !== undefined) throw refusal;
    if (this.#host.authentication === "trust") return this.#open(packet);
    // An unknown user gets a full exchange against a random verifier, so that nobody learns which users exist.
    const verifier =
      this.#host.authentication(user) ?? makeVerifier(randomBytes(24).toString("hex"), randomBytes);
    this.#exchange = new ScramExchange(user, verifier, randomBytes);
    writeSasl(this.#outlet.writer, [SCRAM_MECHANISM]);
    this.#reader.expect("typed", authenticationFrameLimit);
    this.#state = "sasl";
    return MORE;
  }

  #onSaslInitialResponse(message: MessageReader): HandshakeStep {
    const { mechanism, data } = readSaslInitialResponse(message);
    if (mechanism !== SCRAM_MECHANISM || this.#exchange === undefined) {
      throw fatal(SqlState.protocolViolation, "client selected an invalid SASL authentication mechanism");
    }
    writeSaslContinue(this.#outlet.writer, this.#exchange.first(data));
    this.#state = "sasl-response";
    return MORE;
  }

  #onSaslResponse(message: MessageReader): HandshakeStep {
    if (this.#exchange === undefined || this.#startup === undefined) {
      throw fatal(SqlState.protocolViolation, "malformed SCRAM message");
    }
    writeSaslFinal(this.#outlet.writer, this.#exchange.final(readSaslResponse(message)));
    return this.#open(this.#startup);
  }

  #open(packet: StartupMessage): HandshakeStep {
    const { writer } = this.#outlet;
    // Who the client is has been settled; what it asks for may still be refused.
    writer.raw(Reply.authenticationOk);
    const session = this.#host.openSession(sessionRequest(packet.parameters), this.#client);
    for (const [name, value] of session.reportedSettings()) writeParameterStatus(writer, name, value);
    writeBackendKeyData(writer, session.processId, session.secretKey);
    this.#reader.expect("typed", sessionFrameLimit);
    return { kind: "ready", session };
  }
}

/** PostgreSQL's names in a startup packet that are not settings. */
const NOT_SETTINGS = new Set(["user", "database", "options", "replication"]);

function sessionRequest(parameters: ReadonlyMap<string, string>): SessionRequest {
  const user = parameters.get("user") ?? "";
  const replication = parameters.get("replication");
  if (replication !== undefined && !/^(false|off|no|0)$/i.test(replication)) {
    throw fatal(SqlState.featureNotSupported, "replication connections are not supported");
  }
  const database = parameters.get("database") ?? "";
  const settings = [...readOptions(parameters.get("options") ?? "")];
  for (const [name, value] of parameters) {
    if (!NOT_SETTINGS.has(name)) settings.push([name, value]);
  }
  return { user, database: database === "" ? user : database, settings };
}

function fatal(code: string, message: string): SqlError {
  return new SqlError(code, message, { severity: "FATAL" });
}
