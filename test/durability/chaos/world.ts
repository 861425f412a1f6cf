// What the parts of one run share: where the server is, until when they go on, what they found and how much they did.

/** What one client has had acknowledged, and what it has begun. The database must be at one of the two or between. */
export interface Progress {
  acknowledged: number;
  begun: number;
}

export interface World {
  readonly seed: number;
  /** Changes when the server starts again. */
  url: string;
  /** Milliseconds since the epoch. */
  readonly deadline: number;
  readonly progress: readonly Progress[];
  readonly report: Report;
}

const FAULTS_KEPT = 40;

/** What a run found and did. A run without faults is a good one, if it did enough. */
export class Report {
  readonly faults: string[] = [];
  readonly counts = new Map<string, number>();
  #isFull = false;

  fault(kind: string, detail: string): void {
    this.count(`fault: ${kind}`);
    if (this.#isFull) return;
    this.faults.push(`${kind}: ${detail.slice(0, 1500)}`);
    this.#isFull = this.faults.length >= FAULTS_KEPT;
  }

  count(what: string, by = 1): void {
    this.counts.set(what, this.of(what) + by);
  }

  of(what: string): number {
    return this.counts.get(what) ?? 0;
  }

  /** Share of the exact answers' rows that the indexes found, over all searches. */
  get recall(): number {
    return this.of("neighbours found") / Math.max(this.of("neighbours"), 1);
  }
}
