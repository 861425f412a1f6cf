// pg_get_constraintdef: a constraint as it stands behind CONSTRAINT name.
import { must } from "../../common/assert.ts";
import type { CatalogSnapshot } from "../catalog.ts";
import type { ConstraintEntry, IndexEntry, TableEntry } from "../entries.ts";
import { isOperatorExpression, prettyExpression, withoutOuterParentheses } from "./expression-text.ts";
import { quoteIdentifier } from "../../common/identifier.ts";

export interface OwnedConstraint {
  readonly table: TableEntry;
  readonly constraint: ConstraintEntry;
}

export function* constraints(catalog: CatalogSnapshot): Iterable<OwnedConstraint> {
  for (const entry of catalog.entries()) {
    if (entry.kind !== "table") continue;
    for (const constraint of entry.constraints) yield { table: entry, constraint };
  }
}

export function constraintByOid(catalog: CatalogSnapshot, oid: number): OwnedConstraint | undefined {
  const table = catalog.tableOfConstraint(oid);
  const constraint = table?.constraints.find((candidate) => candidate.oid === oid);
  return table === undefined || constraint === undefined ? undefined : { table, constraint };
}

/** `pretty` leaves out the parentheses that precedence makes needless. */
export function constraintDefinition(
  catalog: CatalogSnapshot,
  { table, constraint }: OwnedConstraint,
  pretty: boolean,
): string {
  if (constraint.type === "c") return checkDefinition(constraint.expression ?? "", pretty);
  const name = (attnum: number): string =>
    quoteIdentifier(
      must(
        table.columns.find((column) => column.attnum === attnum),
        "a constraint's column",
      ).name,
    );
  const index = catalog.entry("index", constraint.indexOid) as IndexEntry | undefined;
  const included = (index?.columns.slice(index.keyCount) ?? []).map((column) => name(column.attnum));
  return [
    constraint.type === "p"
      ? "PRIMARY KEY"
      : `UNIQUE${index?.nullsNotDistinct === true ? " NULLS NOT DISTINCT" : ""}`,
    `(${constraint.columns.map(name).join(", ")})`,
    ...(included.length === 0 ? [] : [`INCLUDE (${included.join(", ")})`]),
  ].join(" ");
}

/** The deparser parenthesises every operator and CHECK adds a pair of its own: CHECK ((a > 0)). */
function checkDefinition(expression: string, pretty: boolean): string {
  if (pretty) return `CHECK (${prettyExpression(expression)})`;
  const bare = withoutOuterParentheses(expression);
  return isOperatorExpression(bare) ? `CHECK ((${bare}))` : `CHECK (${bare})`;
}
