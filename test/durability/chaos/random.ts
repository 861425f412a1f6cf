// Choices of the random workload. What the clients do follows from the seed; how they meet does not.
import { random } from "../../recall/recall.ts";

export class Random {
  readonly #next: () => number;

  constructor(seed: number) {
    this.#next = random(seed);
  }

  /** Uniform in [0, limit), an integer. */
  integer(limit: number): number {
    return Math.floor(this.#next() * limit);
  }

  /** Uniform in [from, to). */
  between(from: number, to: number): number {
    return from + this.#next() * (to - from);
  }

  chance(share: number): boolean {
    return this.#next() < share;
  }

  pick<T>(choices: readonly T[]): T {
    return choices[this.integer(choices.length)] as T;
  }

  /** Normally distributed about 0 with deviation 1 (Box and Muller). */
  gauss(): number {
    return Math.sqrt(-2 * Math.log(1 - this.#next())) * Math.cos(2 * Math.PI * this.#next());
  }
}
