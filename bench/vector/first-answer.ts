// A process of growth.ts: opens the folder and asks once. `processMs`: until the engine's code was loaded; `openMs`: opening
// the engine; `hitsMs`: from the start of the opening to the hits.
import { open } from "../../index.ts";

export interface FirstAnswer {
  readonly processMs: number;
  readonly openMs: number;
  readonly hitsMs: number;
}

const [path, dimensions] = process.argv.slice(2) as [string, string];
const started = performance.now();
const db = await open({ path });
const opened = performance.now();
await db.searchVectors("items", { query: new Float32Array(Number(dimensions)).fill(0.1), k: 10 });
const found = performance.now();
const answer: FirstAnswer = { processMs: started, openMs: opened - started, hitsMs: found - started };
console.log(JSON.stringify(answer));
await db.close();
