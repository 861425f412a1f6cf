// Where the planner's answer differs from PostgreSQL's recorded one, with the reason. `expected` = what it answers instead;
// `isOpen` = to be brought in line.
import type { RecordedStatement } from "./recorded.ts";

export interface Difference {
  readonly reason: string;
  readonly isOpen?: boolean;
  readonly expected?: Omit<RecordedStatement, "sql">;
}

export const DIFFERENCES: ReadonlyMap<string, Difference> = new Map<string, Difference>([]);
