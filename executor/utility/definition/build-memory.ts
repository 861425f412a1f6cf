// What `maintenance_work_mem` means to the build of a vector index. A graph lives in memory, so it is built there whatever the
// setting says; codes of the vectors, which make building faster and are dropped with its end, are made only where they fit.
import type { Notice } from "../../../common/error.ts";
import type { IndexMemory } from "../../../native/engine.ts";

const KB = 1024;

/** pgvector's NOTICE in our terms, when a build needs more than it may take; undefined when it has enough. */
export function memoryNotice(needed: IndexMemory, allowedBytes: number): Notice | undefined {
  const total = needed.leastBytes + needed.codeBytes;
  if (total <= allowedBytes) return undefined;
  const kilobytes = (bytes: number): string => `${Math.ceil(bytes / KB)} kB`;
  const message = `building the hnsw graph needs ${kilobytes(total)}, more than maintenance_work_mem (${kilobytes(allowedBytes)})`;
  const base = { severity: "NOTICE", code: "00000", message } as const;
  if (needed.codeBytes === 0) return { ...base, detail: "The graph is built in memory all the same." };
  return {
    ...base,
    detail: `Building will take more time and ${kilobytes(needed.leastBytes)}, without compressed copies of the vectors.`,
    hint: "Increase maintenance_work_mem to speed up builds.",
  };
}
