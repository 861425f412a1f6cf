// The table locks that a transaction is known to hold, by lockKey (transaction-control.ts). Nearly every transaction holds one
// to four, and a Set that is emptied makes itself a new table each time: the first few lie in an array, the rest in a Set.

/** Above this a search through the array costs more than a Set. */
const MAX_SEARCHED = 16;

export class HeldLocks {
  readonly #few: number[] = [];
  #more: Set<number> | undefined;

  has(key: number): boolean {
    return this.#few.includes(key) || this.#more?.has(key) === true;
  }

  add(key: number): void {
    if (this.has(key)) return;
    if (this.#few.length < MAX_SEARCHED) this.#few.push(key);
    else (this.#more ??= new Set()).add(key);
  }

  clear(): void {
    if (this.#few.length === 0) return;
    this.#few.length = 0;
    this.#more = undefined;
  }
}
