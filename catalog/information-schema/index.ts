// The SQL of the views of information_schema, with PostgreSQL's semantics. A view that is not listed here exists with its
// columns and has no rows: it is about things that cannot exist yet (domains, triggers, foreign data, transforms ...).
import { constraintViews } from "./constraints.ts";
import { privilegeViews } from "./privileges.ts";
import { relationViews } from "./relations.ts";
import { routineViews } from "./routines.ts";
import { serverViews } from "./server.ts";

export const informationSchemaViews: ReadonlyMap<string, string> = new Map([
  ...relationViews,
  ...constraintViews,
  ...routineViews,
  ...privilegeViews,
  ...serverViews,
]);
