// Who is connected, and which locks they hold or wait for: pg_stat_activity and pg_locks.
//
// Where PostgreSQL waits for a row it waits for the transaction that holds it, and shows that; so does this. Transaction ids
// are given only to those who ask for them: in pg_locks the process id of the transaction's session stands for it.
import type { CatalogSnapshot, LockActivity, SessionActivity } from "../catalog.ts";
import type { RelationRows, Row } from "./rows.ts";
import { roleName } from "./shared.ts";

/** Oid of pg_class: the names that are locked are those of relations. */
const PG_CLASS = 1259;
/** Microseconds from 1970 to 2000. */
const EPOCH_SHIFT_US = 946_684_800_000_000;

export const pgStatActivity: RelationRows = {
  lookups: [],
  *rows({ catalog, statistics }) {
    const waits = new Map(
      statistics.locks().flatMap((lock) => (lock.isGranted ? [] : [[lock.processId, waitEvent(lock)]])),
    );
    for (const session of statistics.sessions()) {
      yield {
        datid: session.databaseOid,
        datname: databaseName(catalog, session.databaseOid),
        pid: session.processId,
        usesysid: session.roleOid,
        usename: roleName(catalog, session.roleOid) ?? null,
        application_name: session.applicationName,
        client_addr: session.clientAddress ?? null,
        client_port: session.clientPort ?? null,
        backend_start: session.backendStart,
        xact_start: session.transactionStart ?? null,
        query_start: session.queryStart ?? null,
        state_change: session.stateChange,
        ...waiting(session, waits.get(session.processId)),
        state: session.state,
        query: session.query,
        backend_type: "client backend",
      };
    }
  },
};

function waiting(session: SessionActivity, lockEvent: string | undefined): Row {
  if (session.state !== "active") return { wait_event_type: "Client", wait_event: "ClientRead" };
  return lockEvent === undefined ? {} : { wait_event_type: "Lock", wait_event: lockEvent };
}

function waitEvent(lock: LockActivity): string {
  return lock.kind === "relation" ? (isObject(lock) ? "object" : "relation") : lockType(lock);
}

function databaseName(catalog: CatalogSnapshot, oid: number): string | null {
  for (const database of catalog.databases()) if (database.oid === oid) return database.name;
  return null;
}

const TABLE_MODES = [
  "",
  "AccessShareLock",
  "RowShareLock",
  "RowExclusiveLock",
  "ShareUpdateExclusiveLock",
  "ShareLock",
  "ShareRowExclusiveLock",
  "ExclusiveLock",
  "AccessExclusiveLock",
] as const;

export const pgLocks: RelationRows = {
  lookups: [],
  *rows({ statistics }) {
    const sessions = new Map<number, SessionActivity>();
    for (const session of statistics.sessions()) sessions.set(session.processId, session);
    for (const lock of statistics.locks()) {
      const session = sessions.get(lock.processId);
      if (session === undefined) continue;
      yield {
        ...lockedObject(lock, session, sessions, statistics.blockers(lock.processId)),
        locktype: lockType(lock),
        mode: lockMode(lock),
        granted: lock.isGranted,
        waitstart: lock.waitStart === undefined ? null : Math.round(lock.waitStart * 1000) - EPOCH_SHIFT_US,
        ...holder(session),
      };
    }
    for (const session of sessions.values()) {
      if (session.transactionStart === undefined) continue;
      yield {
        locktype: "virtualxid",
        virtualxid: virtualTransaction(session),
        mode: "ExclusiveLock",
        granted: true,
        ...holder(session),
      };
    }
  },
};

function holder(session: SessionActivity): Row {
  return { virtualtransaction: virtualTransaction(session), pid: session.processId, fastpath: false };
}

function virtualTransaction(session: SessionActivity): string {
  return `${session.processId}/${session.transactionNumber}`;
}

/** Names being created are locked by numbers where no oid lives. */
function isObject(lock: LockActivity): boolean {
  return lock.objectId >= 0x8000_0000;
}

function lockType(lock: LockActivity): string {
  switch (lock.kind) {
    case "relation":
      return isObject(lock) ? "object" : "relation";
    case "advisory":
      return "advisory";
    case "writers":
      return "virtualxid";
    case "row":
    case "key":
      return "transactionid";
  }
}

function lockMode(lock: LockActivity): string {
  if (lock.kind === "row" || lock.kind === "key") return lock.isGranted ? "ExclusiveLock" : "ShareLock";
  if (lock.kind === "writers") return "ShareLock";
  return TABLE_MODES[lock.mode] ?? "";
}

function lockedObject(
  lock: LockActivity,
  session: SessionActivity,
  sessions: ReadonlyMap<number, SessionActivity>,
  blockers: Iterable<number>,
): Row {
  switch (lock.kind) {
    case "relation":
      if (isObject(lock)) {
        return { database: session.databaseOid, classid: PG_CLASS, objid: lock.objectId, objsubid: 0 };
      }
      return { database: session.databaseOid, relation: lock.objectId };
    case "advisory":
      return {
        database: session.databaseOid,
        classid: lock.objectId,
        objid: lock.subId,
        objsubid: lock.isWide ? 1 : 2,
      };
    case "writers": {
      const [first] = blockers;
      const writer = sessions.get(first ?? 0);
      return writer === undefined ? {} : { virtualxid: virtualTransaction(writer) };
    }
    case "row":
    case "key": {
      const [first] = lock.isGranted ? [session.processId] : blockers;
      return { transactionid: first ?? session.processId };
    }
  }
}
