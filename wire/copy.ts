// CopyData on its way from the connection to the COPY that waits for it. The connection offers chunks as they arrive and
// stops reading the socket while `isFull`; the COPY takes them, small ones joined, and asks for more.
import type { CopySource } from "../session/result.ts";

/** Chunks waiting beyond this stop the socket: COPY memory stays small whatever the client's speed. */
const MAX_QUEUED_BYTES = 1024 * 1024;

type Outcome = { readonly kind: "done" } | { readonly kind: "failed"; readonly error: Error };

export class CopyInbox implements CopySource {
  #chunks: Uint8Array[] = [];
  #queuedBytes = 0;
  #outcome: Outcome | undefined;
  #wake: (() => void) | undefined;
  readonly #onRoom: () => void;

  /** `onRoom` is called when a full inbox was emptied. */
  constructor(onRoom: () => void) {
    this.#onRoom = onRoom;
  }

  get isFull(): boolean {
    return this.#queuedBytes >= MAX_QUEUED_BYTES;
  }

  /** True once CopyDone or CopyFail came. */
  get isFinished(): boolean {
    return this.#outcome !== undefined;
  }

  offer(chunk: Uint8Array): void {
    this.#chunks.push(chunk);
    this.#queuedBytes += chunk.length;
    this.#wakeUp();
  }

  done(): void {
    this.#finish({ kind: "done" });
  }

  fail(error: Error): void {
    this.#finish({ kind: "failed", error });
  }

  async next(): Promise<Uint8Array | undefined> {
    while (this.#chunks.length === 0 && this.#outcome === undefined) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    // A failure counts at once: what is still queued belongs to a copy that will be undone.
    if (this.#outcome?.kind === "failed") throw this.#outcome.error;
    if (this.#chunks.length === 0) return undefined;
    const wasFull = this.isFull;
    const chunk = this.#chunks.length === 1 ? this.#chunks[0] : Buffer.concat(this.#chunks);
    this.#chunks = [];
    this.#queuedBytes = 0;
    if (wasFull) this.#onRoom();
    return chunk;
  }

  #finish(outcome: Outcome): void {
    this.#outcome ??= outcome;
    this.#wakeUp();
  }

  #wakeUp(): void {
    const wake = this.#wake;
    this.#wake = undefined;
    wake?.();
  }
}
