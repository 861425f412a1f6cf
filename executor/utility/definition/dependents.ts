// What depends on an object that is to go: without CASCADE PostgreSQL's 2BP01 lists the dependents, with it a NOTICE does and
// they go too.
import { ACCESS_EXCLUSIVE } from "../../../common/lock-mode.ts";
import { faceOf, relationName } from "../../../catalog/deparse/relation.ts";
import type { ConstraintEntry, SequenceEntry, TableEntry } from "../../../catalog/entries.ts";
import { SqlError, SqlState } from "../../../common/error.ts";
import type { DefinitionContext } from "./context.ts";

export interface Dependent {
  /** "constraint c_a_fkey on table c" */
  readonly description: string;
  /** What it rests on: "table p", "index p_pkey", "column id of table p". */
  readonly on: string;
}

/** PostgreSQL cuts the list that a client sees after this many. */
const MAX_SHOWN = 100;

/**
 * 2BP01 when there are dependents and no CASCADE, else the NOTICE about them. `subject` is what is dropped: "table p", or
 * undefined when it is several objects.
 */
export function requireCascade(
  subject: string | undefined,
  dependents: readonly Dependent[],
  cascade: boolean,
  context: DefinitionContext,
): void {
  if (dependents.length === 0) return;
  if (!cascade) {
    const detail = shownList(dependents.map(({ description, on }) => `${description} depends on ${on}`));
    throw new SqlError(
      SqlState.dependentObjectsStillExist,
      subject === undefined
        ? "cannot drop desired object(s) because other objects depend on them"
        : `cannot drop ${subject} because other objects depend on it`,
      { detail, hint: "Use DROP ... CASCADE to drop the dependent objects too." },
    );
  }
  const lines = dependents.map(({ description }) => `drop cascades to ${description}`);
  const [only] = lines;
  context.notice(
    lines.length === 1 && only !== undefined
      ? { severity: "NOTICE", code: "00000", message: only }
      : {
          severity: "NOTICE",
          code: "00000",
          message: `drop cascades to ${lines.length} other objects`,
          detail: shownList(lines),
        },
  );
}

function shownList(lines: readonly string[]): string {
  if (lines.length <= MAX_SHOWN) return lines.join("\n");
  const hidden = lines.length - MAX_SHOWN;
  const rest = `and ${hidden} other ${hidden === 1 ? "object" : "objects"} (see server log for list)`;
  return [...lines.slice(0, MAX_SHOWN), rest].join("\n");
}

/** A relation's name as messages about dependencies show it: qualified where the search path would not find it. */
export function shownName(table: TableEntry, context: DefinitionContext): string {
  const scope = { catalog: context.catalog(), searchPath: context.searchPath() };
  return relationName(scope, faceOf({ kind: "table", table }));
}

export function shownSequence(sequence: SequenceEntry, context: DefinitionContext): string {
  const scope = { catalog: context.catalog(), searchPath: context.searchPath() };
  return relationName(scope, faceOf({ kind: "sequence", sequence }));
}

export interface ForeignKeyOf {
  readonly table: TableEntry;
  readonly constraint: ConstraintEntry;
}

/** Foreign keys of other tables (and of the table itself) to `table` that `wanted` picks, in the order they were made. */
export function foreignKeysTo(
  table: TableEntry,
  context: DefinitionContext,
  wanted: (one: ForeignKeyOf) => boolean = () => true,
): readonly ForeignKeyOf[] {
  return context
    .catalog()
    .referencing(table.oid)
    .flatMap((referencing) =>
      referencing.constraints.map((constraint): ForeignKeyOf => ({ table: referencing, constraint })),
    )
    .filter((one) => one.constraint.reference?.tableOid === table.oid && wanted(one))
    .toSorted((a, b) => a.constraint.oid - b.constraint.oid);
}

export function foreignKeyDependent(
  { table, constraint }: ForeignKeyOf,
  on: string,
  context: DefinitionContext,
): Dependent {
  return { description: `constraint ${constraint.name} on table ${shownName(table, context)}`, on };
}

/** Takes foreign keys off their tables, as the catalogue has those now. */
export async function removeForeignKeys(
  keys: readonly ForeignKeyOf[],
  context: DefinitionContext,
): Promise<void> {
  for (const { table, constraint } of keys) {
    await context.lockRelation(table.oid, ACCESS_EXCLUSIVE);
    const current = context.catalog().entry("table", table.oid);
    if (current?.kind !== "table") continue;
    context.put({
      ...current,
      version: current.version + 1,
      constraints: current.constraints.filter((candidate) => candidate.oid !== constraint.oid),
    });
  }
}
