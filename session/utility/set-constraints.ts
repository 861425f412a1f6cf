// SET CONSTRAINTS ALL | names DEFERRED | IMMEDIATE.
import { SqlError, SqlState } from "../../common/error.ts";
import type { Node, RangeVar } from "../../parser/tree.ts";
import type { SessionCore } from "../core.ts";
import { type UtilityCommand, done } from "./command.ts";

interface ConstraintsSetStatement {
  readonly constraints?: readonly Node[];
  readonly deferred?: boolean;
}

export function setConstraintsCommand(statement: ConstraintsSetStatement): UtilityCommand {
  const isDeferred = statement.deferred === true;
  return {
    run: async ({ core }) => {
      if (!core.transactions.isInBlock) {
        core.notice({
          severity: "WARNING",
          code: SqlState.noActiveSqlTransaction,
          message: "SET CONSTRAINTS can only be used in transaction blocks",
        });
      }
      core.database.refresh();
      const names = statement.constraints?.flatMap((node) => ("RangeVar" in node ? [node.RangeVar] : []));
      const oids = names?.flatMap((name) => constraintsNamed(core, name, isDeferred));
      await core.constraints.setMode(oids === undefined ? undefined : new Set(oids), isDeferred);
      return done("SET CONSTRAINTS");
    },
  };
}

/** All constraints of the name in the first schema that has any. */
function constraintsNamed(core: SessionCore, name: RangeVar, isDeferred: boolean): readonly number[] {
  const catalog = core.catalog();
  const schemas = name.schemaname === undefined ? core.schemaPath(true) : [name.schemaname];
  for (const schemaName of schemas) {
    const schema = catalog.schemaByName(schemaName);
    if (schema === undefined) {
      if (name.schemaname === undefined) continue;
      throw new SqlError(SqlState.invalidSchemaName, `schema "${schemaName}" does not exist`);
    }
    const found = [...catalog.relationsIn(schema.oid)].flatMap((relation) =>
      relation.kind === "table"
        ? relation.table.constraints.filter((constraint) => constraint.name === name.relname)
        : [],
    );
    if (found.length === 0) continue;
    if (isDeferred && found.some((constraint) => !constraint.isDeferrable)) {
      throw new SqlError(SqlState.wrongObjectType, `constraint "${name.relname}" is not deferrable`);
    }
    return found.map((constraint) => constraint.oid);
  }
  throw new SqlError(SqlState.undefinedObject, `constraint "${name.relname}" does not exist`);
}
