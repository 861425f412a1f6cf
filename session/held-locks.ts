// The table locks that a transaction is known to hold, by lockKey (transaction-control.ts). Nearly every transaction holds one
// to four, and a Set that is emptied makes itself a new table each time: the first few lie in an array, the rest in a Set.

/** Above this a search through the array costs more than a Set. */
const MAX_SEARCHED = 16;

export class HeldLocks {
  /** In the first #count places; never shortened, for setting an array's length costs more than the search. */
  readonly #few: number[] = [];
  #count = 0;
  #more: Set<number> | undefined;

  has(key: number): boolean {
    for (let i = 0; i < this.#count; i++) if (this.#few[i] === key) return true;
    return this.#more?.has(key) === true;
  }

  add(key: number): void {
    if (this.has(key)) return;
    if (this.#count < MAX_SEARCHED) this.#few[this.#count++] = key;
    else (this.#more ??= new Set()).add(key);
  }

  clear(): void {
    this.#count = 0;
    this.#more = undefined;
  }
}
