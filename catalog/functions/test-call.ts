// A FunctionCall for tests: fixed clock, New York's time zone, a session that remembers settings. Used by tests alone.
import type { FunctionContext } from "../../common/function-context.ts";
import type { FunctionCall } from "./function.ts";

const NOW = 772_000_000_000_000;

function unavailable(name: string): never {
  throw new Error(`${name} is not available in this test`);
}

export function testContext(timeZone = "America/New_York"): FunctionContext {
  const settings = new Map<string, string>();
  return {
    types: {
      dateStyle: { format: "ISO", order: "MDY" },
      intervalStyle: "postgres",
      timeZone,
      extraFloatDigits: 1,
      byteaOutput: "hex",
      now: () => NOW,
    },
    session: {
      processId: 42,
      currentUser: "alice",
      sessionUser: "alice",
      currentDatabase: "test",
      transactionTimestamp: () => NOW,
      statementTimestamp: () => NOW,
      clockTimestamp: () => NOW,
      random: () => 0.5,
      setSeed: () => undefined,
      randomBytes: (count) => new Uint8Array(count).fill(7),
      getSetting: (name) => settings.get(name),
      setSetting: (name, value) => {
        settings.set(name, value);
        return value;
      },
      notice: () => undefined,
      sequenceNext: () => unavailable("nextval"),
      sequenceCurrent: () => unavailable("currval"),
      sequenceLast: () => unavailable("lastval"),
      sequenceSet: () => unavailable("setval"),
      advisoryLock: () => Promise.resolve(true),
      advisoryUnlock: () => true,
      advisoryUnlockAll: () => undefined,
      vectorRecall: () => Promise.resolve(1),
      backup: () => Promise.resolve(1n),
      sleep: () => Promise.resolve(),
      cancelBackend: () => false,
      terminateBackend: () => false,
      isConnected: () => false,
      notify: () => undefined,
      listeningChannels: () => [],
      transactionId: () => 700,
    },
    catalog: { searchPath: () => ["public"], snapshot: undefined },
  };
}

/** A call with arguments of the given types. */
export function testCall(argumentOids: readonly number[], resultOid: number): FunctionCall {
  return {
    context: testContext(),
    argumentTypes: argumentOids.map((oid) => ({ oid, typmod: -1 })),
    resultType: { oid: resultOid, typmod: -1 },
  };
}
