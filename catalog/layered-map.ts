// An immutable map that is cheap to change: a large shared base and a small overlay of differences. A DDL statement copies
// the overlay only; when that has grown, it is merged into a new base, so a thousand changes cost about a thousand small
// copies and a few large ones. Readers of an older version are never disturbed.

/** Overlay size at which it is merged: below it a copy costs microseconds. */
const MAX_OVERLAY = 128;

export class LayeredMap<K, V> {
  readonly #base: ReadonlyMap<K, V>;
  /** undefined = removed. */
  readonly #overlay: ReadonlyMap<K, V | undefined>;

  private constructor(base: ReadonlyMap<K, V>, overlay: ReadonlyMap<K, V | undefined>) {
    this.#base = base;
    this.#overlay = overlay;
  }

  static empty<K, V>(): LayeredMap<K, V> {
    return new LayeredMap<K, V>(new Map(), new Map());
  }

  get(key: K): V | undefined {
    return this.#overlay.has(key) ? this.#overlay.get(key) : this.#base.get(key);
  }

  /** A map with these differences; an undefined value removes. */
  with(changes: Iterable<readonly [K, V | undefined]>): LayeredMap<K, V> {
    const overlay = new Map(this.#overlay);
    for (const [key, value] of changes) {
      if (value === undefined && !this.#base.has(key)) overlay.delete(key);
      else overlay.set(key, value);
    }
    if (overlay.size <= MAX_OVERLAY) return new LayeredMap(this.#base, overlay);
    const base = new Map(this.#base);
    for (const [key, value] of overlay) {
      if (value === undefined) base.delete(key);
      else base.set(key, value);
    }
    return new LayeredMap(base, new Map());
  }

  *entries(): IterableIterator<readonly [K, V]> {
    for (const [key, value] of this.#base) if (!this.#overlay.has(key)) yield [key, value];
    for (const [key, value] of this.#overlay) if (value !== undefined) yield [key, value];
  }

  *values(): IterableIterator<V> {
    for (const [, value] of this.entries()) yield value;
  }
}
