// The SQL of the views of information_schema, with PostgreSQL's semantics. A view that is not listed here exists with its
// columns and has no rows: it is about things that cannot exist yet (domains, triggers, foreign data, transforms ...).
import { constraintViews } from "./constraints.ts";
import { privilegeViews } from "./privileges.ts";
import { relationViews } from "./relations.ts";
import { routineViews } from "./routines.ts";
import { serverViews } from "./server.ts";
import { type ViewDefinition, viewSql } from "./view.ts";

const definitions = new Map<string, ViewDefinition>(
  [...relationViews, ...constraintViews, ...routineViews, ...privilegeViews, ...serverViews].map(
    (definition) => [definition[0], definition],
  ),
);
const texts = new Map<string, string>();

/** Names of the views that have a text. */
export function informationSchemaViewNames(): readonly string[] {
  return [...definitions.keys()];
}

/** The SQL of a view; undefined for one without rows. */
export function informationSchemaView(name: string): string | undefined {
  const definition = definitions.get(name);
  if (definition === undefined) return undefined;
  let text = texts.get(name);
  if (text === undefined) {
    text = viewSql(definition);
    texts.set(name, text);
  }
  return text;
}
