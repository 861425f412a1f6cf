// CPU time of a server: its process and all children, children that have ended included (PostgreSQL forks per connection).
// Linux only: elsewhere 0, and the tables show wall time alone.
import { readdirSync, readFileSync } from "node:fs";

const TICKS_PER_SECOND = 100;
/** User and system time are cut to whole ticks each, at both ends of a measurement. */
const TICK_ERROR_SECONDS = 2 / TICKS_PER_SECOND;

/** Starts to count; the function gives the seconds `pid` and its descendants have run since. May be asked again and again. */
export function cpuClock(pid: number): () => number {
  const before = reading(pid);
  return () => {
    const now = reading(pid);
    let nanoseconds = 0;
    for (const [thread, ran] of now.nanoseconds) nanoseconds += ran - (before.nanoseconds.get(thread) ?? 0);
    // Threads that have ended are in their process's ticks alone.
    return Math.max(nanoseconds / 1e9, now.seconds - before.seconds - TICK_ERROR_SECONDS);
  };
}

interface Reading {
  /** In ticks, of the processes that live; ended threads included, ended children as far as their parent has waited for them. */
  readonly seconds: number;
  /** Time on a processor by living thread, as the scheduler counts it. */
  readonly nanoseconds: ReadonlyMap<string, number>;
}

function reading(pid: number): Reading {
  let ticks = 0;
  const nanoseconds = new Map<string, number>();
  const queue = [pid];
  for (let process = queue.pop(); process !== undefined; process = queue.pop()) {
    try {
      const stat = readFileSync(`/proc/${process}/stat`, "utf8");
      const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
      // utime, stime, and cutime, cstime of waited-for children (fields 14 to 17 of proc(5)).
      ticks += fields.slice(11, 15).reduce((sum, field) => sum + Number(field), 0);
      for (const thread of readdirSync(`/proc/${process}/task`)) {
        const folder = `/proc/${process}/task/${thread}`;
        const ran = Number(readFileSync(`${folder}/schedstat`, "utf8").split(" ")[0]);
        nanoseconds.set(thread, ran);
        const children = readFileSync(`${folder}/children`, "utf8").trim();
        if (children !== "") queue.push(...children.split(" ").map(Number));
      }
    } catch {
      // The process ended while we looked, or there is no /proc.
    }
  }
  return { seconds: ticks / TICKS_PER_SECOND, nanoseconds };
}
