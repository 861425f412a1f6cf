// Functions of the session's world: clock, settings, sequences, advisory locks, sleep, identity. They reach it through
// FunctionContext only.
import { SqlError, SqlState } from "../../common/error.ts";
import { SqlArray } from "../../common/types/array.ts";
import type { Interval } from "../../common/types/interval.ts";
import { Oid } from "../../common/types/oid.ts";
import { int64Datum } from "../../common/types/scalar.ts";
import { uuidFromBytes } from "../../common/types/uuid.ts";
import type { Datum } from "../../common/types/type.ts";
import { type BodyTable, binary, nullary, setReturning, ternary, unary, variadic } from "./body.ts";
import type { AsyncBody, FunctionBody, FunctionCall } from "./function.ts";
import type { Int8 } from "./integer.ts";

/** What version() says after the product's name: tools read the number. */
const SERVER_VERSION = "15.20";

function setting(name: string, missingOk: boolean, call: FunctionCall): Datum {
  const value = call.context.session.getSetting(name);
  if (value === undefined && !missingOk) {
    throw new SqlError(SqlState.undefinedObject, `unrecognized configuration parameter "${name}"`);
  }
  return value ?? null;
}

/** Key and class of the one-key (bigint) and two-key (integer, integer) lock spaces. */
function lockKey(args: readonly Datum[]): { readonly key: bigint; readonly classId: number } {
  if (args.length === 1) return { key: BigInt(args[0] as Int8), classId: -1 };
  return { key: BigInt(args[1] as number), classId: args[0] as number };
}

function lock(shared: boolean, transactionScope: boolean, tryOnly: boolean): AsyncBody {
  return {
    kind: "async",
    row: async (args, call) => {
      const { key, classId } = lockKey(args);
      const isGranted = await call.context.session.advisoryLock(
        key,
        classId,
        shared,
        transactionScope,
        tryOnly,
      );
      return tryOnly ? isGranted : "";
    },
  };
}

function unlock(shared: boolean): FunctionBody {
  return variadic((args, call) => {
    const { key, classId } = lockKey(args);
    const wasHeld = call.context.session.advisoryUnlock(key, classId, shared);
    if (!wasHeld) {
      call.context.session.notice({
        severity: "WARNING",
        code: SqlState.warning,
        message: `you don't own a lock of type ${shared ? "ShareLock" : "ExclusiveLock"}`,
      });
    }
    return wasHeld;
  });
}

/** Both key spaces of one lock function. */
function lockPair(name: string, body: FunctionBody): Record<string, FunctionBody> {
  return { [`${name}_int8`]: body, [`${name}_int4`]: body };
}

function sleepSeconds(seconds: number, call: FunctionCall): Promise<Datum> {
  return call.context.session.sleep(Math.max(seconds, 0) * 1000).then(() => "");
}

/** RFC 4122 version 4. */
function randomUuid(call: FunctionCall): string {
  const bytes = call.context.session.randomBytes(16);
  bytes[6] = ((bytes[6] as number) & 0x0f) | 0x40;
  bytes[8] = ((bytes[8] as number) & 0x3f) | 0x80;
  return uuidFromBytes(bytes);
}

function signalled(processId: number, isKnown: boolean, call: FunctionCall): boolean {
  if (!isKnown) warn(`PID ${processId} is not a PostgreSQL backend process`, call);
  return isKnown;
}

function warn(message: string, call: FunctionCall): void {
  call.context.session.notice({ severity: "WARNING", code: SqlState.warning, message });
}

const TERMINATION_POLL_MS = 20;

/** With a timeout it waits that many milliseconds for the session to be gone. */
async function terminate(processId: number, timeout: number, call: FunctionCall): Promise<Datum> {
  const { session } = call.context;
  if (timeout < 0) {
    throw new SqlError(SqlState.numericValueOutOfRange, '"timeout" must not be negative');
  }
  const isKnown = signalled(processId, session.terminateBackend(processId), call);
  if (!isKnown || timeout === 0) return isKnown;
  for (let waited = 0; waited < timeout; waited += TERMINATION_POLL_MS) {
    if (!session.isConnected(processId)) return true;
    await session.sleep(Math.min(TERMINATION_POLL_MS, timeout - waited));
  }
  if (!session.isConnected(processId)) return true;
  warn(`backend with PID ${processId} did not terminate within ${timeout} milliseconds`, call);
  return false;
}

function countNulls(args: readonly Datum[], call: FunctionCall, isNull: boolean): Datum {
  const [only] = args;
  // VARIADIC array: its elements are counted.
  const values = call.argumentTypes.length === 1 && only instanceof SqlArray ? only.elements : args;
  return values.filter((value) => (value === null) === isNull).length;
}

export const systemFunctions: BodyTable = {
  pgsql_version: nullary(
    () => `PostgreSQL ${SERVER_VERSION} (OmenDB) on ${process.arch}-${process.platform}, 64-bit`,
  ),
  now: nullary((call) => call.context.session.transactionTimestamp()),
  statement_timestamp: nullary((call) => call.context.session.statementTimestamp()),
  clock_timestamp: nullary((call) => call.context.session.clockTimestamp()),
  current_user: nullary((call) => call.context.session.currentUser),
  session_user: nullary((call) => call.context.session.sessionUser),
  current_database: nullary((call) => call.context.session.currentDatabase),
  current_schema: nullary((call) => call.context.catalog.searchPath(false)[0] ?? null),
  current_schemas: unary<boolean>((includeImplicit, call) =>
    SqlArray.of(Oid.name, call.context.catalog.searchPath(includeImplicit)),
  ),
  pg_backend_pid: nullary((call) => call.context.session.processId),
  show_config_by_name: unary<string>((name, call) => setting(name, false, call)),
  show_config_by_name_missing_ok: binary<string, boolean>(setting),
  set_config_by_name: ternary<string | null, string | null, boolean | null>((name, value, isLocal, call) => {
    if (name === null) throw new SqlError(SqlState.nullValueNotAllowed, "SET requires parameter name");
    return call.context.session.setSetting(name, value ?? "", isLocal ?? false);
  }),
  pg_client_encoding: nullary(() => "UTF8"),
  getdatabaseencoding: nullary(() => "UTF8"),
  gen_random_uuid: nullary(randomUuid),
  pg_typeof: {
    kind: "scalar",
    row: (_args, call) => call.argumentTypes[0]?.oid ?? Oid.unknown,
  },
  pg_num_nulls: variadic((args, call) => countNulls(args, call, true)),
  pg_num_nonnulls: variadic((args, call) => countNulls(args, call, false)),
  pg_is_in_recovery: nullary(() => false),
  pg_cancel_backend: unary<number>((processId, call) =>
    signalled(processId, call.context.session.cancelBackend(processId), call),
  ),
  pg_terminate_backend: {
    kind: "async",
    row: ([processId, timeout], call) => terminate(processId as number, Number(timeout), call),
  },
  pg_current_xact_id: nullary((call) => call.context.session.transactionId()),
  pg_current_xact_id_if_assigned: nullary((call) => call.context.session.transactionId()),

  nextval_oid: unary<number>((oid, call) => int64Datum(call.context.session.sequenceNext(oid))),
  currval_oid: unary<number>((oid, call) => int64Datum(call.context.session.sequenceCurrent(oid))),
  lastval: nullary((call) => int64Datum(call.context.session.sequenceLast())),
  setval_oid: binary<number, Int8>((oid, value, call) => {
    call.context.session.sequenceSet(oid, BigInt(value), true);
    return value;
  }),
  setval3_oid: ternary<number, Int8, boolean>((oid, value, isCalled, call) => {
    call.context.session.sequenceSet(oid, BigInt(value), isCalled);
    return value;
  }),

  pg_notify: binary<string | null, string | null>((channel, payload, call) => {
    call.context.session.notify(channel ?? "", payload ?? "");
    return "";
  }),
  pg_listening_channels: setReturning((_args, call) => [...call.context.session.listeningChannels()]),

  vector_recall: {
    kind: "async",
    row: (args, call) => call.context.session.vectorRecall(args[0] as number, args[1] as number),
  },
  database_backup: {
    kind: "async",
    row: async (args, call) => int64Datum(await call.context.session.backup(args[0] as string)),
  },
  pg_sleep: { kind: "async", row: (args, call) => sleepSeconds(args[0] as number, call) },
  "sql:pg_sleep_for:1186": {
    kind: "async",
    row: (args, call) => sleepSeconds(Number((args[0] as Interval).span()) / 1e6, call),
  },
  "sql:pg_sleep_until:1184": {
    kind: "async",
    row: (args, call) => sleepSeconds((Number(args[0]) - call.context.session.clockTimestamp()) / 1e6, call),
  },

  ...lockPair("pg_advisory_lock", lock(false, false, false)),
  ...lockPair("pg_advisory_lock_shared", lock(true, false, false)),
  ...lockPair("pg_advisory_xact_lock", lock(false, true, false)),
  ...lockPair("pg_advisory_xact_lock_shared", lock(true, true, false)),
  ...lockPair("pg_try_advisory_lock", lock(false, false, true)),
  ...lockPair("pg_try_advisory_lock_shared", lock(true, false, true)),
  ...lockPair("pg_try_advisory_xact_lock", lock(false, true, true)),
  ...lockPair("pg_try_advisory_xact_lock_shared", lock(true, true, true)),
  ...lockPair("pg_advisory_unlock", unlock(false)),
  ...lockPair("pg_advisory_unlock_shared", unlock(true)),
  pg_advisory_unlock_all: nullary((call) => {
    call.context.session.advisoryUnlockAll();
    return "";
  }),
};
