import { createRequire } from "node:module";
import { describe, expect, test } from "vitest";
import { SqlError } from "../../common/error.ts";
import { ScramExchange, formatVerifier, makeVerifier, parseVerifier } from "./scram.ts";

// The client half of the `pg` driver: an independent implementation of the same RFC.
interface ClientSession {
  response: string;
}
interface ClientSasl {
  startSession(mechanisms: string[]): ClientSession & { mechanism: string };
  continueSession(session: ClientSession, password: string, serverData: string): Promise<void>;
  finalizeSession(session: ClientSession, serverData: string): void;
}
const client = createRequire(import.meta.url)("pg/lib/crypto/sasl") as ClientSasl;

function seededBytes(seed: number): (count: number) => Uint8Array {
  let state = seed;
  return (count) =>
    Uint8Array.from({ length: count }, () => {
      state = (Math.imul(state, 1103515245) + 12345) >>> 0;
      return state >>> 24;
    });
}

async function logIn(serverPassword: string, clientPassword: string): Promise<void> {
  const verifier = makeVerifier(serverPassword, seededBytes(1));
  const exchange = new ScramExchange("someone", verifier, seededBytes(2));
  const session = client.startSession(["SCRAM-SHA-256"]);
  await client.continueSession(session, clientPassword, exchange.first(session.response));
  client.finalizeSession(session, exchange.final(session.response));
}

describe("SCRAM-SHA-256 against pg's client", () => {
  test.each(["secret", "with, comma = and §", "漢字 ｗｉｄｅ", "x".repeat(200)])(
    "password %s",
    async (password) => {
      await logIn(password, password);
    },
  );

  test("a wrong password is 28P01 and fatal", async () => {
    const error = await logIn("right", "wrong").catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(SqlError);
    expect(error).toMatchObject({ code: "28P01", severity: "FATAL" });
    expect(String(error)).toContain('password authentication failed for user "someone"');
  });

  test("the verifier survives its text form", () => {
    const verifier = makeVerifier("p", seededBytes(3));
    expect(formatVerifier(verifier)).toMatch(/^SCRAM-SHA-256\$4096:[^$]+\$[^:]+:.+$/);
    expect(parseVerifier(formatVerifier(verifier))).toEqual(verifier);
    expect(parseVerifier("md5abc")).toBeUndefined();
  });

  test.each(["", "n,,", "x,,n=,r=a", "p=tls-unique,,n=,r=abc"])(
    "first message %j is malformed",
    (message) => {
      const exchange = new ScramExchange("u", makeVerifier("p", seededBytes(4)), seededBytes(5));
      expect(() => exchange.first(message)).toThrow("malformed SCRAM message");
    },
  );

  test("a replayed nonce or a cut proof is malformed", () => {
    const exchange = new ScramExchange("u", makeVerifier("p", seededBytes(6)), seededBytes(7));
    exchange.first("n,,n=,r=abc");
    expect(() => exchange.final("c=biws,r=abc,p=AAAA")).toThrow("malformed SCRAM message");
    expect(() => exchange.final("nonsense")).toThrow("malformed SCRAM message");
  });
});
