// Wait tokens as promises: one channel per worker thread brings the engine's finished tokens, and whoever waits for one goes
// on. What the wait was for, and whether it was cancelled, the repeated engine call says (native/engine.ts).
import type { Channel, Engine } from "../native/engine.ts";

export class Waits {
  readonly channel: Channel;
  /** Never empty (no token is 0): a Map that becomes empty with every commit is made anew with every commit. */
  readonly #waiting = new Map<number, () => void>([[0, () => undefined]]);
  /** Tokens that arrived before anybody asked for them. */
  readonly #early = new Set<number>();

  /** `syncsAlone`: as openChannel has it. */
  constructor(engine: Engine, syncsAlone: boolean) {
    this.channel = engine.openChannel((tokens) => this.#deliver(tokens), syncsAlone);
  }

  /** Resolves when the engine has delivered `token`; at once for 0. */
  wait(token: number): Promise<void> {
    if (token <= 0 || this.#early.delete(token)) return Promise.resolve();
    return new Promise((resolve) => {
      this.#waiting.set(token, resolve);
    });
  }

  close(): void {
    this.channel.close();
  }

  #deliver(tokens: readonly number[] | number): void {
    if (typeof tokens === "number") this.#deliverOne(tokens);
    else for (const token of tokens) this.#deliverOne(token);
  }

  #deliverOne(token: number): void {
    const resume = this.#waiting.get(token);
    if (resume === undefined) this.#early.add(token);
    else {
      this.#waiting.delete(token);
      resume();
    }
  }
}
