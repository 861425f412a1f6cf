// pg_get_constraintdef: a constraint as it stands behind CONSTRAINT name.
import { must } from "../../common/assert.ts";
import type { CatalogSnapshot } from "../catalog.ts";
import type {
  ConstraintEntry,
  ForeignKeyReference,
  IndexEntry,
  ReferentialAction,
  TableEntry,
} from "../entries.ts";
import { isOperatorExpression, prettyExpression, withoutOuterParentheses } from "./expression-text.ts";
import { quoteIdentifier } from "../../common/identifier.ts";
import type { NameScope } from "./identifier.ts";
import { faceOf, relationName } from "./relation.ts";

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
  scope: NameScope,
  { table, constraint }: OwnedConstraint,
  pretty: boolean,
): string {
  return [
    constraint.type === "c"
      ? checkDefinition(constraint.expression ?? "", pretty)
      : constraint.reference === undefined
        ? keyDefinition(scope.catalog, table, constraint)
        : foreignKeyDefinition(scope, table, constraint, constraint.reference),
    ...(constraint.noInherit ? ["NO INHERIT"] : []),
    ...(constraint.isDeferrable ? ["DEFERRABLE"] : []),
    ...(constraint.isDeferred ? ["INITIALLY DEFERRED"] : []),
    ...(constraint.isValidated ? [] : ["NOT VALID"]),
  ].join(" ");
}

function columnList(table: TableEntry, attnums: readonly number[]): string {
  const names = attnums.map((attnum) =>
    quoteIdentifier(
      must(
        table.columns.find((column) => column.attnum === attnum),
        "a constraint's column",
      ).name,
    ),
  );
  return `(${names.join(", ")})`;
}

function keyDefinition(catalog: CatalogSnapshot, table: TableEntry, constraint: ConstraintEntry): string {
  const index = catalog.entry("index", constraint.indexOid) as IndexEntry | undefined;
  const included = (index?.columns.slice(index.keyCount) ?? []).map((column) => column.attnum);
  return [
    constraint.type === "p"
      ? "PRIMARY KEY"
      : `UNIQUE${index?.nullsNotDistinct === true ? " NULLS NOT DISTINCT" : ""}`,
    columnList(table, constraint.columns),
    ...(included.length === 0 ? [] : [`INCLUDE ${columnList(table, included)}`]),
  ].join(" ");
}

const ACTIONS: Readonly<Record<ReferentialAction, string>> = {
  a: "",
  r: "RESTRICT",
  c: "CASCADE",
  n: "SET NULL",
  d: "SET DEFAULT",
};

function foreignKeyDefinition(
  scope: NameScope,
  table: TableEntry,
  constraint: ConstraintEntry,
  reference: ForeignKeyReference,
): string {
  const parent = scope.catalog.entry("table", reference.tableOid);
  if (parent?.kind !== "table") return "";
  const name = relationName(scope, faceOf({ kind: "table", table: parent }));
  const { match, onUpdate, onDelete, deleteColumns } = reference;
  const only = deleteColumns.length === 0 ? "" : ` ${columnList(table, deleteColumns)}`;
  return [
    `FOREIGN KEY ${columnList(table, constraint.columns)} REFERENCES ${name}${columnList(parent, reference.columns)}`,
    ...(match === "f" ? ["MATCH FULL"] : []),
    ...(onUpdate === "a" ? [] : [`ON UPDATE ${ACTIONS[onUpdate]}`]),
    ...(onDelete === "a" ? [] : [`ON DELETE ${ACTIONS[onDelete]}${only}`]),
  ].join(" ");
}

/** The deparser parenthesises every operator and CHECK adds a pair of its own: CHECK ((a > 0)). */
function checkDefinition(expression: string, pretty: boolean): string {
  if (pretty) return `CHECK (${prettyExpression(expression)})`;
  const bare = withoutOuterParentheses(expression);
  return isOperatorExpression(bare) ? `CHECK ((${bare}))` : `CHECK (${bare})`;
}
