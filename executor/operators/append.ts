// UNION ALL: the inputs one after the other. Each is opened when its turn comes.
import type { Batch } from "../../common/batch/vector.ts";
import { chain, type MaybePromise } from "../maybe-promise.ts";
import type { Operator } from "./operator.ts";

export class AppendOperator implements Operator {
  readonly #inputs: readonly Operator[];
  #position = 0;
  #isOpen = false;

  constructor(inputs: readonly Operator[]) {
    this.#inputs = inputs;
  }

  open(): void {}

  next(): MaybePromise<Batch | undefined> {
    const input = this.#inputs[this.#position];
    if (input === undefined) return undefined;
    if (!this.#isOpen) {
      this.#isOpen = true;
      return chain(input.open(), () => this.next());
    }
    return chain(input.next(), (batch) => {
      if (batch !== undefined) return batch;
      this.#position += 1;
      this.#isOpen = false;
      return this.next();
    });
  }

  close(): void {
    for (const input of this.#inputs) input.close();
  }
}
