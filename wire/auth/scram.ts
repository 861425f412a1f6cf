// SCRAM-SHA-256 as RFC 5802 and RFC 7677 define it and PostgreSQL speaks it, server side, over node:crypto. The verifier
// has PostgreSQL's own text form, so a password never has to be kept.
//
//   client-first   n,,n=,r=<client nonce>
//   server-first   r=<client nonce><server nonce>,s=<salt>,i=<iterations>
//   client-final   c=biws,r=<both nonces>,p=<proof>
//   server-final   v=<server signature>
//
// Channel binding (SCRAM-SHA-256-PLUS) is not offered; a client that says it would have used it ("y") is answered normally.
import { createHash, createHmac, pbkdf2Sync, timingSafeEqual } from "node:crypto";
import { SqlError, SqlState } from "../../common/error.ts";

export const SCRAM_MECHANISM = "SCRAM-SHA-256";
/** PostgreSQL's default. */
const ITERATIONS = 4096;
const KEY_BYTES = 32;
const SALT_BYTES = 16;
const NONCE_BYTES = 18;

type RandomBytes = (count: number) => Uint8Array;

export interface ScramVerifier {
  readonly iterations: number;
  readonly salt: Buffer;
  readonly storedKey: Buffer;
  readonly serverKey: Buffer;
}

/** Derives what is kept of a password. */
export function makeVerifier(password: string, randomBytes: RandomBytes): ScramVerifier {
  const salt = Buffer.from(randomBytes(SALT_BYTES));
  const salted = pbkdf2Sync(saslPrep(password), salt, ITERATIONS, KEY_BYTES, "sha256");
  return {
    iterations: ITERATIONS,
    salt,
    storedKey: sha256(hmac(salted, "Client Key")),
    serverKey: hmac(salted, "Server Key"),
  };
}

/** PostgreSQL's pg_authid.rolpassword form: SCRAM-SHA-256$4096:salt$StoredKey:ServerKey. */
export function formatVerifier(verifier: ScramVerifier): string {
  const { iterations, salt, storedKey, serverKey } = verifier;
  const keys = `${storedKey.toString("base64")}:${serverKey.toString("base64")}`;
  return `${SCRAM_MECHANISM}$${iterations}:${salt.toString("base64")}$${keys}`;
}

/** undefined when `text` is not a verifier. */
export function parseVerifier(text: string): ScramVerifier | undefined {
  const match = /^SCRAM-SHA-256\$(\d+):([^$]+)\$([^:]+):(.+)$/.exec(text);
  if (match === null) return undefined;
  const [, iterations = "", salt = "", storedKey = "", serverKey = ""] = match;
  return {
    iterations: Number(iterations),
    salt: Buffer.from(salt, "base64"),
    storedKey: Buffer.from(storedKey, "base64"),
    serverKey: Buffer.from(serverKey, "base64"),
  };
}

/** One exchange with one client: first() then final(). */
export class ScramExchange {
  readonly #user: string;
  readonly #verifier: ScramVerifier;
  readonly #serverNonce: string;
  #gs2Header = "";
  #clientFirstBare = "";
  #serverFirst = "";
  #nonce = "";

  constructor(user: string, verifier: ScramVerifier, randomBytes: RandomBytes) {
    this.#user = user;
    this.#verifier = verifier;
    this.#serverNonce = Buffer.from(randomBytes(NONCE_BYTES)).toString("base64");
  }

  /** Answers the client's first message. The user name inside is ignored, as PostgreSQL does: the startup packet names it. */
  first(message: string): string {
    const match = /^([ny]|p=[^,]*),(?:a=[^,]*)?,(n=[^,]*,r=([^,]+)(?:,.*)?)$/s.exec(message);
    if (match === null) throw malformed();
    const [, channelBinding = "", bare = "", clientNonce = ""] = match;
    if (channelBinding.startsWith("p"))
      throw malformed(
        "The client selected SCRAM-SHA-256 without channel binding, but the SCRAM message includes channel binding data.",
      );
    this.#gs2Header = message.slice(0, message.length - bare.length);
    this.#clientFirstBare = bare;
    this.#nonce = clientNonce + this.#serverNonce;
    const { salt, iterations } = this.#verifier;
    this.#serverFirst = `r=${this.#nonce},s=${salt.toString("base64")},i=${iterations}`;
    return this.#serverFirst;
  }

  /** Checks the proof and signs; FATAL 28P01 when the password was wrong. */
  final(message: string): string {
    const match = /^(c=([^,]+),r=([^,]+)(?:,(?!p=).*)?),p=([^,]+)$/s.exec(message);
    if (match === null) throw malformed();
    const [, withoutProof = "", binding = "", nonce = "", proof = ""] = match;
    if (nonce !== this.#nonce) throw malformed("Nonce does not match.");
    if (Buffer.from(binding, "base64").toString() !== this.#gs2Header) {
      throw new SqlError(SqlState.invalidAuthorizationSpecification, "SCRAM channel binding check failed", {
        severity: "FATAL",
      });
    }
    const authMessage = `${this.#clientFirstBare},${this.#serverFirst},${withoutProof}`;
    const signature = hmac(this.#verifier.storedKey, authMessage);
    const proofBytes = Buffer.from(proof, "base64");
    if (proofBytes.length !== KEY_BYTES) throw malformed("Malformed proof in client-final-message.");
    const clientKey = Buffer.alloc(KEY_BYTES);
    for (let i = 0; i < KEY_BYTES; i++) clientKey[i] = (proofBytes[i] ?? 0) ^ (signature[i] ?? 0);
    if (!timingSafeEqual(sha256(clientKey), this.#verifier.storedKey)) throw wrongPassword(this.#user);
    return `v=${hmac(this.#verifier.serverKey, authMessage).toString("base64")}`;
  }
}

/** FATAL 28P01 in PostgreSQL's words, the same for an unknown role and a wrong password. */
export function wrongPassword(user: string): SqlError {
  return new SqlError(SqlState.invalidPassword, `password authentication failed for user "${user}"`, {
    severity: "FATAL",
  });
}

/**
 * SASLprep's normalisation (RFC 4013) as far as it changes what people type: NFKC, odd spaces to a space. Like PostgreSQL, a
 * password it would forbid is used as it is.
 */
function saslPrep(password: string): string {
  return password.replace(/[\u00a0\u1680\u2000-\u200b\u202f\u205f\u3000]/g, " ").normalize("NFKC");
}

function hmac(key: Buffer, text: string): Buffer {
  return createHmac("sha256", key).update(text).digest();
}

function sha256(bytes: Buffer): Buffer {
  return createHash("sha256").update(bytes).digest();
}

function malformed(detail?: string): SqlError {
  return new SqlError(SqlState.protocolViolation, "malformed SCRAM message", { detail, severity: "FATAL" });
}
