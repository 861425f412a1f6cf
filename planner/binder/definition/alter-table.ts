// ALTER TABLE ADD/DROP/RENAME COLUMN, types, defaults, NOT NULL, keys and checks; ALTER ... RENAME. The rest is 0A000 by name.
import type { TableEntry } from "../../../catalog/entries.ts";
import { notSupported, SqlError, SqlState } from "../../../common/error.ts";
import {
  type AlterTableCmd,
  type AlterTableStmt,
  positionOf,
  type RenameStmt,
} from "../../../parser/tree.ts";
import type { AlterTableCommand, ColumnTypeChange, DefinitionPlan } from "../../physical/definition.ts";
import {
  type DefinitionBindContext,
  displayName,
  findRelation,
  findTable,
  type NamedColumn,
  undefinedRelation,
} from "./context.ts";
import { bindCheckConstraint, bindForeignKey, bindKey } from "./constraint.ts";
import { bindColumn, collationOf } from "./create-table.ts";

export function bindAlterTable(statement: AlterTableStmt, context: DefinitionBindContext): DefinitionPlan {
  const name = statement.relation ?? {};
  if (statement.missing_ok === true && findRelation(name, context) === undefined)
    return skipMissing(name, "ALTER TABLE");
  if (statement.objtype !== undefined && statement.objtype !== "OBJECT_TABLE") {
    throw notSupported(
      `ALTER ${statement.objtype.replace("OBJECT_", "").replaceAll("_", " ")}`,
      positionOf(name.location),
    );
  }
  const table = findTable(name, context);
  // Later commands see the columns that earlier ones add.
  let columns: readonly NamedColumn[] = table.columns.filter((column) => !column.isDropped);
  const commands: AlterTableCommand[] = [];
  const cmds = (statement.cmds ?? []).flatMap((node) => ("AlterTableCmd" in node ? node.AlterTableCmd : []));
  const changes = bindTypeChanges(cmds, table, context);
  // One rewrite for all of them, each over the row as it was, before what else is said of the columns.
  if (changes.length > 0) commands.push({ kind: "alter-types", changes });
  columns = columns.map((column) => ({ ...column, ...changes.find(({ name }) => name === column.name) }));
  for (const cmd of cmds) {
    if (cmd.subtype === "AT_AlterColumnType") continue;
    const command = bindCommand(cmd, table, columns, context);
    if (command.kind === "add-column") columns = [...columns, command.column];
    commands.push(command);
  }
  return { kind: "alter-table", table, commands };
}

function skipMissing(name: Parameters<typeof displayName>[0], tag: string): DefinitionPlan {
  return {
    kind: "no-operation",
    tag,
    notice: `relation "${displayName(name)}" does not exist, skipping`,
    code: SqlState.undefinedTable,
  };
}

function bindCommand(
  command: AlterTableCmd,
  table: TableEntry,
  columns: readonly NamedColumn[],
  context: DefinitionBindContext,
): AlterTableCommand {
  const name = command.name ?? "";
  switch (command.subtype) {
    case "AT_AddColumn":
      return bindAddColumn(command, table, columns, context);
    case "AT_DropColumn":
      return {
        kind: "drop-column",
        name,
        ifExists: command.missing_ok === true,
        cascade: command.behavior === "DROP_CASCADE",
      };
    case "AT_ColumnDefault": {
      const column = requireColumn(table, columns, name);
      return {
        kind: "set-default",
        name,
        default: command.def === undefined ? undefined : context.bindDefault(command.def, column).text,
      };
    }
    case "AT_SetNotNull":
      return { kind: "set-not-null", name, notNull: true };
    case "AT_DropNotNull":
      return { kind: "set-not-null", name, notNull: false };
    case "AT_AddConstraint": {
      if (command.def === undefined || !("Constraint" in command.def)) throw notSupported("this constraint");
      const constraint = command.def.Constraint;
      if (constraint.contype === "CONSTR_CHECK") {
        return { kind: "add-check", check: bindCheckConstraint(constraint, table.name, columns, context) };
      }
      if (constraint.contype === "CONSTR_FOREIGN") {
        const home = { table: table.name, schemaname: undefined, existing: table };
        return { kind: "add-foreign-key", foreignKey: bindForeignKey(constraint, undefined, home, context) };
      }
      const key = bindKey(constraint, undefined);
      for (const column of key.columns) {
        if (columns.some((candidate) => candidate.name === column)) continue;
        throw new SqlError(SqlState.undefinedColumn, `column "${column}" named in key does not exist`, {
          position: positionOf(constraint.location) || undefined,
        });
      }
      return { kind: "add-key", key };
    }
    case "AT_DropConstraint":
      return {
        kind: "drop-constraint",
        name,
        ifExists: command.missing_ok === true,
        cascade: command.behavior === "DROP_CASCADE",
      };
    case "AT_ValidateConstraint":
      return { kind: "validate-constraint", name };
    case "AT_AlterConstraint":
      return bindAlterConstraint(command, table);
    default:
      throw notSupported(
        `ALTER TABLE ${(command.subtype ?? "")
          .replace("AT_", "")
          .replace(/([a-z])([A-Z])/g, "$1 $2")
          .toUpperCase()}`,
      );
  }
}

function bindAddColumn(
  command: AlterTableCmd,
  table: TableEntry,
  columns: readonly NamedColumn[],
  context: DefinitionBindContext,
): AlterTableCommand {
  if (command.def === undefined || !("ColumnDef" in command.def))
    throw notSupported("this column definition");
  const home = { table: table.name, schemaname: undefined, existing: table };
  const bound = bindColumn(command.def.ColumnDef, home, context);
  const all = [...columns, bound.definition];
  return {
    kind: "add-column",
    ifNotExists: command.missing_ok === true,
    column:
      bound.generatedNode === undefined
        ? bound.definition
        : {
            ...bound.definition,
            generated: context.bindGenerated(bound.generatedNode, bound.definition, table.name, all),
          },
    initial: bound.initial,
    keys: bound.keys,
    checks: bound.checkNodes.map((node) => bindCheckConstraint(node, table.name, all, context)),
    foreignKeys: bound.foreignKeys,
  };
}

function bindTypeChanges(
  commands: readonly AlterTableCmd[],
  table: TableEntry,
  context: DefinitionBindContext,
): readonly ColumnTypeChange[] {
  const dropsDefault = (name: string): boolean =>
    commands.some((cmd) => cmd.subtype === "AT_ColumnDefault" && cmd.name === name && cmd.def === undefined);
  const changes: ColumnTypeChange[] = [];
  const columns = table.columns.filter((column) => !column.isDropped);
  for (const { subtype, name = "", def } of commands) {
    if (subtype !== "AT_AlterColumnType") continue;
    if (def === undefined || !("ColumnDef" in def) || def.ColumnDef.typeName === undefined)
      throw notSupported("this column type");
    const old = columns.find((column) => column.name === name);
    if (old === undefined) throw undefinedColumn(table, name);
    if (old.generated !== undefined && def.ColumnDef.raw_default !== undefined) {
      throw new SqlError(
        SqlState.invalidColumnDefinition,
        "cannot specify USING when altering type of generated column",
        { detail: `Column "${name}" is a generated column.` },
      );
    }
    if (changes.some((change) => change.name === name)) {
      throw new SqlError(SqlState.featureNotSupported, `cannot alter type of column "${name}" twice`);
    }
    const type = context.resolveType(def.ColumnDef.typeName);
    const column = { name, type, collation: collationOf(def.ColumnDef, type, context) };
    changes.push({
      ...column,
      value: context.bindTransform(def.ColumnDef.raw_default, column, table.name, columns),
      default:
        old.default === undefined || dropsDefault(name)
          ? undefined
          : context.convertDefault(old.default, column),
    });
  }
  return changes;
}

function bindAlterConstraint(command: AlterTableCmd, table: TableEntry): AlterTableCommand {
  const def =
    command.def !== undefined && "ATAlterConstraint" in command.def ? command.def.ATAlterConstraint : {};
  if (def.alterDeferrability !== true)
    throw notSupported(`ALTER CONSTRAINT of "${table.name}" that is not about DEFERRABLE`);
  return {
    kind: "alter-constraint",
    name: def.conname ?? "",
    isDeferrable: def.deferrable === true,
    isDeferred: def.initdeferred === true,
  };
}

function requireColumn(table: TableEntry, columns: readonly NamedColumn[], name: string): NamedColumn {
  const column = columns.find((candidate) => candidate.name === name);
  if (column !== undefined) return column;
  throw undefinedColumn(table, name);
}

function undefinedColumn(table: TableEntry, name: string): SqlError {
  return new SqlError(
    SqlState.undefinedColumn,
    `column "${name}" of relation "${table.name}" does not exist`,
  );
}

export function bindRename(statement: RenameStmt, context: DefinitionBindContext): DefinitionPlan {
  const name = statement.relation ?? {};
  const to = statement.newname ?? "";
  const found = findRelation(name, context);
  switch (statement.renameType) {
    case "OBJECT_COLUMN": {
      if (found === undefined && statement.missing_ok === true) return skipMissing(name, "ALTER TABLE");
      const table = findTable(name, context);
      const column = statement.subname ?? "";
      if (!table.columns.some((candidate) => candidate.name === column && !candidate.isDropped)) {
        throw new SqlError(SqlState.undefinedColumn, `column "${column}" does not exist`);
      }
      return { kind: "alter-table", table, commands: [{ kind: "rename-column", name: column, to }] };
    }
    case "OBJECT_TABLE":
    case "OBJECT_INDEX":
      if (found === undefined && statement.missing_ok === true) return skipMissing(name, "ALTER TABLE");
      if (found === undefined) throw undefinedRelation(name);
      if (found.kind === "index") return { kind: "rename-index", index: found.index, to };
      return {
        kind: "alter-table",
        table: findTable(name, context),
        commands: [{ kind: "rename-table", to }],
      };
    default:
      throw notSupported(
        `ALTER ${(statement.renameType ?? "").replace("OBJECT_", "").replaceAll("_", " ")} RENAME`,
      );
  }
}
