// Vectors out of their texts, into memory that many of them share: what a typed array costs is mostly memory of its own, and a
// parameter lives for a statement. A piece of memory is filled from its start to its end, never written twice, and goes when the
// last vector in it has gone; so one that is kept for long keeps a piece alive, and texts that make constants of plans
// do not come here.
import { MAX_DIMENSIONS } from "../common/types/embedding.ts";
import { parseVector } from "../native/index.ts";

const PIECE_FLOATS = 16 * 1024;

export class VectorTexts {
  #piece = new Float32Array(PIECE_FLOATS);
  #used = 0;

  /** The vector of a text in the plain form (see parseVector); undefined where the text is of another. */
  read(bytes: Uint8Array): Float32Array | undefined {
    // An element is a digit and what ends it at least.
    const most = Math.min(bytes.length >> 1, MAX_DIMENSIONS);
    if (this.#used + most > PIECE_FLOATS) {
      this.#piece = new Float32Array(PIECE_FLOATS);
      this.#used = 0;
    }
    const from = this.#used;
    const count = parseVector(bytes, this.#piece, from);
    if (count === 0 || count > MAX_DIMENSIONS) return undefined;
    this.#used += count;
    return new Float32Array(this.#piece.buffer, from * Float32Array.BYTES_PER_ELEMENT, count);
  }
}
