// The open portals of a session by name. The unnamed one has a place of its own: it comes and goes with every statement, and
// a Map that becomes empty each time is made anew each time.
import type { Portal } from "./portal.ts";

export class PortalTable implements Iterable<readonly [string, Portal]> {
  #unnamed: Portal | undefined;
  readonly #named = new Map<string, Portal>();

  get size(): number {
    return this.#named.size + (this.#unnamed === undefined ? 0 : 1);
  }

  get hasNamed(): boolean {
    return this.#named.size > 0;
  }

  /** It never outlives its transaction: DECLARE ... WITH HOLD wants a name. */
  closeUnnamed(): void {
    this.#unnamed?.close();
    this.#unnamed = undefined;
  }

  get(name: string): Portal | undefined {
    return name === "" ? this.#unnamed : this.#named.get(name);
  }

  has(name: string): boolean {
    return this.get(name) !== undefined;
  }

  set(name: string, portal: Portal): void {
    if (name === "") this.#unnamed = portal;
    else this.#named.set(name, portal);
  }

  delete(name: string): void {
    if (name === "") this.#unnamed = undefined;
    else this.#named.delete(name);
  }

  clear(): void {
    this.#unnamed = undefined;
    this.#named.clear();
  }

  values(): Portal[] {
    const portals = this.#named.size === 0 ? [] : Array.from(this.#named.values());
    if (this.#unnamed !== undefined) portals.unshift(this.#unnamed);
    return portals;
  }

  /** As they are now: portals may be deleted while this is read. */
  [Symbol.iterator](): Iterator<readonly [string, Portal]> {
    return this.values()
      .map((portal) => [portal.name, portal] as const)
      .values();
  }
}
