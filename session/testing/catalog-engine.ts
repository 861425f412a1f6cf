// An Engine of catalogue entries only, for the session's unit tests: transactions, savepoints, cancel flags and committed
// catalogue changes as native/engine.ts describes them, no relations (touching one is an assertion). Statements without
// tables run on it as they do on the real engine, so protocol and transaction rules are tested without the addon.
import { bootstrapEntries, storedEntry } from "../../catalog/bootstrap.ts";
import { AssertionError, must } from "../../common/assert.ts";
import {
  type CatalogChange,
  type Channel,
  type Engine,
  type EngineSession,
  type EngineTransaction,
  type Isolation,
  StatementStart,
} from "../../native/engine.ts";

/** The session's flag once it was told to end. */
const TERMINATE = 2;
/** By number in StatementStart.begins. */
const LEVELS: readonly (Isolation | undefined)[] = [
  undefined,
  "read committed",
  "repeatable read",
  "serializable",
];

/** The rest of an engine interface: every other method is a mistake of the test. */
function refuseOthers<T extends object>(known: Partial<T>): T {
  return new Proxy(known as T, {
    get: (target, name) => {
      if (name in target) return Reflect.get(target, name) as unknown;
      return () => {
        throw new AssertionError(`the catalogue-only engine has no ${String(name)}`);
      };
    },
  });
}

interface SessionState {
  interrupt: number;
}

export class CatalogEngine {
  readonly #log: CatalogChange[] = bootstrapEntries("postgres").map(storedEntry);
  readonly #sessions = new Map<number, SessionState>();
  #nextProcessId = 1000;
  #nextOid = 16384;
  /** What transactions were told, in order: "begin read committed", "commit", "abort". */
  readonly journal: string[] = [];

  readonly engine: Engine = refuseOthers<Engine>({
    openChannel: (): Channel => refuseOthers<Channel>({ close: () => undefined }),
    openSession: () => this.#openSession(),
    cancelSession: (processId) => this.#raise(processId, 1),
    terminateSession: (processId) => this.#raise(processId, 2),
    allocateOid: () => this.#nextOid++,
    catalogVersion: () => this.#log.length,
    catalogChanges: (version) => ({ version: this.#log.length, changes: this.#log.slice(version) }),
    buildProgress: () => [],
    backupProgress: () => [],
    vacuumProgress: () => [],
    checkpoint: () => 0,
  });

  #openSession(): EngineSession {
    const processId = this.#nextProcessId++;
    const state: SessionState = { interrupt: 0 };
    this.#sessions.set(processId, state);
    return refuseOthers<EngineSession>({
      processId,
      secretKey: processId * 7,
      interrupt: () => state.interrupt,
      clearCancel: () => {
        state.interrupt = 0;
      },
      advisoryLock: () => 0,
      advisoryUnlock: () => true,
      advisoryUnlockAll: () => undefined,
      begin: (isolation, readOnly) => {
        const begun = (level: string, onlyReads: boolean): void => {
          this.journal.push(`begin ${level}${onlyReads ? " read only" : ""}`);
        };
        begun(isolation, readOnly);
        return this.#begin(state, begun);
      },
      close: () => {
        this.#sessions.delete(processId);
      },
    });
  }

  #begin(session: SessionState, begun: EngineTransaction["renew"]): EngineTransaction {
    const own: CatalogChange[] = [];
    const end = (how: string): void => {
      this.journal.push(how);
    };
    return refuseOthers<EngineTransaction>({
      renew: (isolation, readOnly) => {
        own.length = 0;
        begun(isolation, readOnly);
      },
      start: (frame) => {
        if (session.interrupt === TERMINATE) return StatementStart.terminated;
        session.interrupt = 0;
        const modes = frame[StatementStart.begins] as number;
        if (modes > 0) {
          own.length = 0;
          begun(must(LEVELS[modes % 4], "a level"), modes > 4);
        }
        const isOld = frame[StatementStart.catalogVersion] !== this.#log.length;
        return isOld ? StatementStart.catalogMoved : StatementStart.started;
      },
      beginStatement: () => undefined,
      savepoint: () => own.length,
      rollbackTo: (savepoint) => {
        own.length = savepoint;
      },
      release: () => undefined,
      commit: () => {
        this.#log.push(...own);
        end("commit");
        return 0;
      },
      abort: () => end("abort"),
      hasWrites: () => own.length > 0,
      lockRelation: () => 0,
      catalogPut: (key, value, temporary) => {
        if (!temporary) own.push({ key, value });
      },
    });
  }

  #raise(processId: number, flag: number): boolean {
    const state = this.#sessions.get(processId);
    if (state !== undefined) state.interrupt = Math.max(state.interrupt, flag);
    return state !== undefined;
  }
}
