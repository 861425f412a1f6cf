// Placeholder binding until catalog's RegNames exists
import type { RegNames } from "../common/types/type.ts";
import type { SessionCore } from "./core.ts";
export function sessionRegNames(_core: SessionCore): RegNames {
  return { parse: (_k, t) => Number(t), format: (_k, o) => String(o) };
}
