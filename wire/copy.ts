// CopyData on its way from the connection to the COPY that waits for it. The connection offers chunks as they arrive and
// stops reading the socket while `isFull`; the COPY takes them one by one and asks for more. They are copied into blocks,
// because the memory they came in is used again; so the rows of clients that send each as a message of its own are joined.
// The blocks are used again as well: memory outside of V8's heap that comes and goes with the data would make it collect its
// heap, catalogues and all, every few dozen megabytes.
import type { CopySource } from "../session/result.ts";

/** Chunks waiting beyond this stop the socket: COPY memory stays small whatever the client's speed. */
const MAX_QUEUED_BYTES = 1024 * 1024;
/** Chunks are joined into blocks of this size. */
const BLOCK_BYTES = 64 * 1024;

const EMPTY = new Uint8Array(0);

type Outcome = { readonly kind: "done" } | { readonly kind: "failed"; readonly error: Error };

export class CopyInbox implements CopySource {
  readonly #chunks: Uint8Array[] = [];
  /** Chunks before this one were taken. */
  #first = 0;
  /** The block being filled, behind all of `#chunks`. */
  #block: Uint8Array = EMPTY;
  #blockLength = 0;
  /** The chunk given out last, the caller's until it asks for another. */
  #given: Uint8Array = EMPTY;
  /** Blocks to fill again. */
  readonly #idle: Uint8Array[] = [];
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

  /** Keeps a copy of the chunk. */
  offer(chunk: Uint8Array): void {
    this.#queuedBytes += chunk.length;
    if (this.#blockLength + chunk.length > this.#block.length) {
      this.#sealBlock();
      this.#block =
        (chunk.length <= BLOCK_BYTES ? this.#idle.pop() : undefined) ??
        Buffer.allocUnsafeSlow(Math.max(BLOCK_BYTES, chunk.length));
    }
    this.#block.set(chunk, this.#blockLength);
    this.#blockLength += chunk.length;
    this.#wakeUp();
  }

  done(): void {
    this.#finish({ kind: "done" });
  }

  fail(error: Error): void {
    this.#finish({ kind: "failed", error });
  }

  next(): Uint8Array | undefined | Promise<Uint8Array | undefined> {
    this.#takeBack();
    // A failure counts at once: what is still queued belongs to a copy that will be undone.
    if (this.#outcome?.kind === "failed") throw this.#outcome.error;
    if (this.#first === this.#chunks.length) this.#restock();
    const chunk = this.#chunks[this.#first];
    if (chunk !== undefined) {
      this.#first += 1;
      this.#given = chunk;
      return chunk;
    }
    if (this.#outcome !== undefined) return undefined;
    return new Promise<void>((resolve) => {
      this.#wake = resolve;
    }).then(() => this.next());
  }

  /** The chunk given out last has been read. */
  #takeBack(): void {
    const block = this.#given.buffer;
    this.#given = EMPTY;
    if (block.byteLength === BLOCK_BYTES) this.#idle.push(new Uint8Array(block));
  }

  /** All chunks were taken: the joined ones come next, and the connection may send more. */
  #restock(): void {
    const wasFull = this.isFull;
    this.#chunks.length = 0;
    this.#first = 0;
    this.#queuedBytes = this.#blockLength;
    this.#sealBlock();
    if (wasFull) this.#onRoom();
  }

  #sealBlock(): void {
    if (this.#blockLength > 0) this.#chunks.push(this.#block.subarray(0, this.#blockLength));
    this.#block = EMPTY;
    this.#blockLength = 0;
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
