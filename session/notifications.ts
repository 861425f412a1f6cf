// LISTEN and NOTIFY. Within a worker notifications go straight to the listening sessions, to the other workers over a
// BroadcastChannel of the process. As in PostgreSQL: NOTIFY and LISTEN take effect at commit, equal notifications of one
// transaction are one, the sender hears itself, and a session in a transaction hears nothing until it ends.
//
// The same channel tells an idle session that it was terminated (pg_terminate_backend): the engine's flag alone is only seen
// by running statements.
//
// Notifications live in memory only; a client that is not connected misses them, as in PostgreSQL.
import { BroadcastChannel } from "node:worker_threads";
import { SqlError, SqlState } from "../common/error.ts";

/** PostgreSQL's NAMEDATALEN - 1 and NOTIFY_PAYLOAD_MAX_LENGTH - 1. */
const MAX_CHANNEL_BYTES = 63;
const MAX_PAYLOAD_BYTES = 7999;
/** Notifications that wait for a session to leave its transaction; the oldest are let go of beyond this. */
const MAX_WAITING = 100_000;

export interface Notification {
  readonly database: number;
  readonly channel: string;
  readonly payload: string;
  readonly processId: number;
}

type Listener = (notification: Notification) => void;

type Broadcast =
  | { readonly kind: "notify"; readonly notifications: readonly Notification[] }
  | { readonly kind: "terminate"; readonly processId: number };

/** The notifications of one worker thread. */
export class NotificationHub {
  /** Sessions of this thread by process id. */
  readonly #terminable = new Map<number, () => void>();
  readonly #listeners = new Set<Listener>();
  #others: BroadcastChannel | undefined;

  /** Tells every listening session of this process. */
  publish(notifications: readonly Notification[]): void {
    this.#tell({ kind: "notify", notifications });
  }

  /** Tells the session, wherever it is, that it was terminated. */
  terminate(processId: number): void {
    this.#tell({ kind: "terminate", processId });
  }

  addSession(processId: number, onTerminated: () => void): void {
    this.#terminable.set(processId, onTerminated);
    this.#channel();
  }

  removeSession(processId: number): void {
    this.#terminable.delete(processId);
  }

  add(listener: Listener): void {
    this.#listeners.add(listener);
    this.#channel();
  }

  remove(listener: Listener): void {
    this.#listeners.delete(listener);
  }

  close(): void {
    this.#others?.close();
  }

  #tell(broadcast: Broadcast): void {
    this.#take(broadcast);
    this.#channel().postMessage(broadcast);
  }

  #take(broadcast: Broadcast): void {
    if (broadcast.kind === "terminate") {
      this.#terminable.get(broadcast.processId)?.();
      return;
    }
    for (const notification of broadcast.notifications) {
      for (const listener of this.#listeners) listener(notification);
    }
  }

  #channel(): BroadcastChannel {
    if (this.#others === undefined) {
      const others = new BroadcastChannel("omendb notifications");
      others.onmessage = (event) => this.#take((event as { data: Broadcast }).data);
      others.unref();
      this.#others = others;
    }
    return this.#others;
  }
}

type Pending = { readonly kind: "listen" | "unlisten"; readonly channel: string | undefined };

/** What one session listens to, has said and has not yet been told. */
export class SessionNotifications {
  readonly #hub: NotificationHub;
  readonly #database: number;
  readonly #processId: number;
  readonly #channels = new Set<string>();
  #changes: Pending[] = [];
  #said: Notification[] = [];
  #heard: Notification[] = [];
  readonly #onHeard: () => void;
  readonly #listener: Listener;

  /** `onHeard`: something waits in take(); the session may be busy. */
  constructor(hub: NotificationHub, database: number, processId: number, onHeard: () => void) {
    this.#hub = hub;
    this.#database = database;
    this.#processId = processId;
    this.#onHeard = onHeard;
    this.#listener = (notification) => this.#hear(notification);
  }

  get channels(): Iterable<string> {
    return this.#channels;
  }

  listen(channel: string): void {
    this.#changes.push({ kind: "listen", channel });
  }

  /** undefined = all channels. */
  unlisten(channel: string | undefined): void {
    this.#changes.push({ kind: "unlisten", channel });
  }

  notify(channel: string, payload: string): void {
    if (channel === "") throw invalid("channel name cannot be empty");
    if (Buffer.byteLength(channel) > MAX_CHANNEL_BYTES) throw invalid("channel name too long");
    if (Buffer.byteLength(payload) > MAX_PAYLOAD_BYTES) throw invalid("payload string too long");
    if (this.#said.some((one) => one.channel === channel && one.payload === payload)) return;
    this.#said.push({ database: this.#database, channel, payload, processId: this.#processId });
  }

  /** The transaction ended. */
  end(committed: boolean): void {
    const [changes, said] = [this.#changes, this.#said];
    if (changes.length === 0 && said.length === 0) return;
    this.#changes = [];
    this.#said = [];
    if (!committed) return;
    for (const change of changes) this.#apply(change);
    if (said.length > 0) this.#hub.publish(said);
  }

  /** Neither has anything to say at the end of the transaction, nor anything to tell. */
  get isSilent(): boolean {
    return this.#changes.length === 0 && this.#said.length === 0 && this.#heard.length === 0;
  }

  get hasHeard(): boolean {
    return this.#heard.length > 0;
  }

  /** What was heard and not yet told, in order. */
  take(): readonly Notification[] {
    const heard = this.#heard;
    this.#heard = [];
    return heard;
  }

  close(): void {
    this.#hub.remove(this.#listener);
  }

  #apply({ kind, channel }: Pending): void {
    if (kind === "listen" && channel !== undefined) this.#channels.add(channel);
    else if (channel !== undefined) this.#channels.delete(channel);
    else this.#channels.clear();
    if (this.#channels.size > 0) this.#hub.add(this.#listener);
    else this.#hub.remove(this.#listener);
  }

  #hear(notification: Notification): void {
    if (notification.database !== this.#database || !this.#channels.has(notification.channel)) return;
    this.#heard.push(notification);
    if (this.#heard.length > MAX_WAITING) this.#heard.shift();
    this.#onHeard();
  }
}

function invalid(message: string): SqlError {
  return new SqlError(SqlState.invalidParameterValue, message);
}
