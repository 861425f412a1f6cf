// CREATE TABLE and the column and constraint definitions it shares with ALTER TABLE.
import { notSupported, SqlError, SqlState } from "../../../common/error.ts";
import { Oid } from "../../../common/types/oid.ts";
import type { SqlType } from "../../../common/types/type.ts";
import {
  type ColumnDef,
  type Constraint,
  type CreateStmt,
  type Node,
  positionOf,
  stringsOf,
  type TypeName,
} from "../../../parser/tree.ts";
import type {
  ColumnDefinition,
  CreateTablePlan,
  ForeignKeyDefinition,
  KeyDefinition,
  SequenceDefinition,
} from "../../physical/definition.ts";
import type { BoundExpression } from "../../logical/expression.ts";
import { creationSchema, type DefinitionBindContext, type NamedColumn } from "./context.ts";
import {
  bindCheckConstraint,
  bindForeignKey,
  bindKey,
  type ConstraintHome,
  unsupportedConstraint,
  withAttributes,
} from "./constraint.ts";
import { bindSequenceOptions } from "./sequence.ts";

/** PostgreSQL's MaxHeapAttributeNumber. */
const MAX_COLUMNS = 1600;

const SERIAL_TYPES: ReadonlyMap<string, number> = new Map([
  ["smallserial", Oid.int2],
  ["serial2", Oid.int2],
  ["serial", Oid.int4],
  ["serial4", Oid.int4],
  ["bigserial", Oid.int8],
  ["serial8", Oid.int8],
]);

/** A column while its constraints are collected. */
export interface BoundColumn {
  readonly definition: ColumnDefinition;
  /** The default, bound, for ALTER TABLE ADD COLUMN. */
  readonly initial: BoundExpression | undefined;
  readonly keys: readonly KeyDefinition[];
  readonly foreignKeys: readonly ForeignKeyDefinition[];
  readonly checkNodes: readonly Constraint[];
  readonly generatedNode: Node | undefined;
}

export function bindCreateTable(statement: CreateStmt, context: DefinitionBindContext): CreateTablePlan {
  refuseTableClauses(statement);
  const onCommit = onCommitOf(statement);
  const name = statement.relation ?? {};
  const table = name.relname ?? "";
  const home: ConstraintHome = { table, schemaname: name.schemaname, existing: undefined };
  const columns: BoundColumn[] = [];
  // Constraints in the order in which they are written, behind columns or as elements of their own.
  const keyed: PlacedKey[] = [];
  const checkNodes: Constraint[] = [];
  const foreignKeys: ForeignKeyDefinition[] = [];
  for (const element of statement.tableElts ?? []) {
    if ("ColumnDef" in element) {
      const column = bindColumn(element.ColumnDef, home, context);
      columns.push(column);
      keyed.push(...column.keys.map((key) => ({ key, position: undefined })));
      checkNodes.push(...column.checkNodes);
      foreignKeys.push(...column.foreignKeys);
    } else if (!("Constraint" in element)) throw notSupported("CREATE TABLE ... LIKE");
    else {
      const constraint = element.Constraint;
      // NOT VALID has nothing to leave out here.
      if (constraint.contype === "CONSTR_CHECK") checkNodes.push({ ...constraint, skip_validation: false });
      else if (constraint.contype === "CONSTR_FOREIGN")
        foreignKeys.push(bindForeignKey(constraint, undefined, home, context));
      else keyed.push({ key: bindKey(constraint, undefined), position: positionOf(constraint.location) });
    }
  }
  if (columns.length > MAX_COLUMNS) {
    throw new SqlError(SqlState.tooManyColumns, `tables can have at most ${MAX_COLUMNS} columns`);
  }
  refuseDuplicateColumns(columns);
  const named = columns.map((column): NamedColumn => column.definition);
  checkKeys(keyed, named, table);
  // PostgreSQL makes the primary key's index first.
  const keys = keyed
    .map(({ key }) => key)
    .toSorted((a, b) => Number(b.kind === "primary") - Number(a.kind === "primary"));
  const schema = creationSchema(name, context);
  if (onCommit !== undefined && schema !== "temporary") {
    throw new SqlError(SqlState.invalidTableDefinition, "ON COMMIT can only be used on temporary tables");
  }
  const primary = keys.filter((key) => key.kind === "primary").flatMap((key) => key.columns);
  return {
    kind: "create-table",
    isUnlogged: statement.relation?.relpersistence === "u",
    schema,
    name: table,
    ifNotExists: statement.if_not_exists === true,
    onCommit: onCommit ?? "preserve",
    columns: columns.map((column): ColumnDefinition => {
      const generated =
        column.generatedNode === undefined
          ? undefined
          : context.bindGenerated(column.generatedNode, column.definition, table, named);
      return {
        ...column.definition,
        generated,
        notNull: column.definition.notNull || primary.includes(column.definition.name),
      };
    }),
    keys,
    checks: checkNodes.map((node) => bindCheckConstraint(node, table, named, context)),
    foreignKeys,
  };
}

function refuseTableClauses(statement: CreateStmt): void {
  const position = positionOf(statement.relation?.location);
  if (statement.inhRelations !== undefined && statement.inhRelations.length > 0)
    throw notSupported("table inheritance", position);
  if (statement.partspec !== undefined) throw notSupported("PARTITION BY", position);
  if (statement.partbound !== undefined) throw notSupported("PARTITION OF", position);
  if (statement.ofTypename !== undefined) throw notSupported("CREATE TABLE OF", position);
  if (statement.tablespacename !== undefined) throw notSupported("TABLESPACE", position);
  if (statement.accessMethod !== undefined && statement.accessMethod !== "heap") {
    throw new SqlError(SqlState.undefinedObject, `access method "${statement.accessMethod}" does not exist`);
  }
}

/** undefined = not said. */
function onCommitOf(statement: CreateStmt): CreateTablePlan["onCommit"] | undefined {
  switch (statement.oncommit) {
    case "ONCOMMIT_DELETE_ROWS":
      return "delete";
    case "ONCOMMIT_DROP":
      return "drop";
    case "ONCOMMIT_PRESERVE_ROWS":
      return "preserve";
    default:
      return undefined;
  }
}

function refuseDuplicateColumns(columns: readonly BoundColumn[]): void {
  const seen = new Set<string>();
  for (const { definition } of columns) {
    if (seen.has(definition.name)) {
      throw new SqlError(SqlState.duplicateColumn, `column "${definition.name}" specified more than once`);
    }
    seen.add(definition.name);
  }
}

interface PlacedKey {
  readonly key: KeyDefinition;
  /** Of a table constraint. */
  readonly position: number | undefined;
}

/** The columns of key constraints must exist once each; a table has one primary key. */
function checkKeys(keys: readonly PlacedKey[], columns: readonly NamedColumn[], table: string): void {
  let primaries = 0;
  for (const { key, position } of keys) {
    if (key.kind === "primary" && ++primaries > 1) {
      throw new SqlError(
        SqlState.invalidTableDefinition,
        `multiple primary keys for table "${table}" are not allowed`,
        { position },
      );
    }
    const seen = new Set<string>();
    for (const name of key.columns) {
      if (!columns.some((column) => column.name === name)) {
        throw new SqlError(SqlState.undefinedColumn, `column "${name}" named in key does not exist`, {
          position,
        });
      }
      if (seen.has(name)) {
        const what = key.kind === "primary" ? "primary key" : "unique";
        throw new SqlError(SqlState.duplicateColumn, `column "${name}" appears twice in ${what} constraint`, {
          position,
        });
      }
      seen.add(name);
    }
  }
}

/** One column with the constraints written behind it. */
export function bindColumn(
  column: ColumnDef,
  home: ConstraintHome,
  context: DefinitionBindContext,
): BoundColumn {
  const { table } = home;
  const name = column.colname ?? "";
  const serialOid = serialType(column.typeName);
  if (column.typeName === undefined) throw new SqlError(SqlState.syntaxError, `column "${name}" has no type`);
  const type: SqlType =
    serialOid === undefined ? context.resolveType(column.typeName) : { oid: serialOid, typmod: -1 };
  refuseTypes(type, name);
  const collation = collationOf(column, type, context);
  const bound: NamedColumn = { name, type, collation };
  let sequence: SequenceDefinition | undefined;
  let identity: "" | "a" | "d" = "";
  let notNull = false;
  let isNullable = false;
  let defaultText: string | undefined;
  let initial: BoundExpression | undefined;
  let generatedNode: Node | undefined;
  const keys: KeyDefinition[] = [];
  const foreignKeys: ForeignKeyDefinition[] = [];
  const checkNodes: Constraint[] = [];
  const both = (what: string, location: number | undefined): SqlError =>
    new SqlError(
      SqlState.syntaxError,
      `both default and ${what} specified for column "${name}" of table "${table}"`,
      {
        position: positionOf(location) || undefined,
      },
    );
  if (serialOid !== undefined) {
    sequence = bindSequenceOptions(undefined, serialOid, context);
    notNull = true;
  }
  const nodes = (column.constraints ?? []).flatMap((node) => ("Constraint" in node ? [node.Constraint] : []));
  for (const constraint of withAttributes(nodes)) {
    switch (constraint.contype) {
      case "CONSTR_NULL":
        isNullable = true;
        break;
      case "CONSTR_NOTNULL":
        notNull = true;
        break;
      case "CONSTR_DEFAULT": {
        if (defaultText !== undefined || sequence !== undefined) {
          if (identity !== "") throw both("identity", constraint.location);
          throw new SqlError(
            SqlState.syntaxError,
            `multiple default values specified for column "${name}" of table "${table}"`,
            { position: positionOf(constraint.location) || undefined },
          );
        }
        if (constraint.raw_expr === undefined) break;
        const value = context.bindDefault(constraint.raw_expr, bound);
        defaultText = value.text;
        initial = value.expression;
        break;
      }
      case "CONSTR_IDENTITY":
        if (defaultText !== undefined) throw both("identity", constraint.location);
        if (type.oid !== Oid.int2 && type.oid !== Oid.int4 && type.oid !== Oid.int8) {
          throw new SqlError(
            SqlState.invalidParameterValue,
            "identity column type must be smallint, integer, or bigint",
          );
        }
        identity = constraint.generated_when === "a" ? "a" : "d";
        sequence = bindSequenceOptions(constraint.options, type.oid, context);
        notNull = true;
        break;
      case "CONSTR_GENERATED":
        if (defaultText !== undefined) throw both("generation expression", constraint.location);
        generatedNode = constraint.raw_expr;
        break;
      case "CONSTR_CHECK":
        checkNodes.push(constraint);
        break;
      case "CONSTR_PRIMARY":
        notNull = true;
        keys.push(bindKey(constraint, name));
        break;
      case "CONSTR_UNIQUE":
        keys.push(bindKey(constraint, name));
        break;
      case "CONSTR_FOREIGN":
        foreignKeys.push(bindForeignKey(constraint, name, home, context));
        break;
      default:
        throw unsupportedConstraint(constraint);
    }
  }
  if (isNullable && notNull) {
    throw new SqlError(
      SqlState.syntaxError,
      `conflicting NULL/NOT NULL declarations for column "${name}" of table "${table}"`,
    );
  }
  return {
    definition: {
      name,
      type,
      collation,
      notNull,
      default: defaultText,
      generated: undefined,
      sequence,
      identity,
    },
    initial,
    keys,
    foreignKeys,
    checkNodes,
    generatedNode,
  };
}

function serialType(name: TypeName | undefined): number | undefined {
  const parts = stringsOf(name?.names);
  return parts.length === 1 ? SERIAL_TYPES.get(parts[0] ?? "") : undefined;
}

const PSEUDO_TYPES: ReadonlySet<number> = new Set([Oid.unknown, Oid.void, Oid.record, Oid.cstring]);

function refuseTypes(type: SqlType, column: string): void {
  if (PSEUDO_TYPES.has(type.oid)) {
    throw new SqlError(SqlState.invalidTableDefinition, `column "${column}" has a pseudo-type`);
  }
}

/** The collation of COLLATE, or the type's own. */
export function collationOf(column: ColumnDef, type: SqlType, context: DefinitionBindContext): number {
  const natural = context.catalog.typeByOid(type.oid)?.collation ?? 0;
  const clause = column.collClause;
  if (clause === undefined) return natural;
  const parts = stringsOf(clause.collname);
  const name = parts.at(-1) ?? "";
  const position = positionOf(clause.location);
  if (natural === 0) {
    throw new SqlError(
      SqlState.datatypeMismatch,
      `collations are not supported by type ${context.catalog.typeByOid(type.oid)?.name ?? type.oid}`,
      { position },
    );
  }
  switch (name) {
    case "default":
      return 100;
    case "C":
      return 950;
    case "POSIX":
      return 951;
    default:
      throw notSupported(`collation "${name}"`, position);
  }
}
