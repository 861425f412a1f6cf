// CPU time of a server: its process and all children, children that have ended included (PostgreSQL forks per connection).
// Linux only: elsewhere 0, and the tables show wall time alone.
import { readdirSync, readFileSync } from "node:fs";

const TICKS_PER_SECOND = 100;

/** User + system seconds of `pid` and its living descendants; ended children as far as their parent has waited for them. */
export function cpuSeconds(pid: number): number {
  let ticks = 0;
  const queue = [pid];
  for (let process = queue.pop(); process !== undefined; process = queue.pop()) {
    try {
      const stat = readFileSync(`/proc/${process}/stat`, "utf8");
      const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
      // utime, stime, and cutime, cstime of waited-for children (fields 14 to 17 of proc(5)).
      ticks += fields.slice(11, 15).reduce((sum, field) => sum + Number(field), 0);
      for (const thread of readdirSync(`/proc/${process}/task`)) {
        const children = readFileSync(`/proc/${process}/task/${thread}/children`, "utf8").trim();
        if (children !== "") queue.push(...children.split(" ").map(Number));
      }
    } catch {
      // The process ended while we looked, or there is no /proc.
    }
  }
  return ticks / TICKS_PER_SECOND;
}
