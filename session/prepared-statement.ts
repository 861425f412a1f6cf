// A statement with a name (or none): its tree, the types of its parameters and the columns it was described with. The plan
// itself is the plan cache's; what a client was told about the result must stay true, so a plan that gives other columns is
// 0A000 as in PostgreSQL.
import { SqlError, SqlState } from "../common/error.ts";
import type { RawStatement } from "../parser/tree.ts";
import type { PlannedStatement } from "../planner/physical/plan.ts";
import type { ResultColumn } from "./result.ts";
import type { UtilityCommand } from "./utility/command.ts";

/** The state of catalogue and settings a plan was made for. */
export interface PlanStamp {
  readonly names: number;
  readonly own: number;
  readonly settings: number;
  /** The one transaction it serves: one that reads an older catalogue. undefined = any. */
  readonly transaction: number | undefined;
}

export class PreparedStatement {
  readonly name: string;
  /** undefined = the empty statement. */
  readonly statement: RawStatement | undefined;
  /** As the client declared them; 0 = to be inferred. */
  readonly declaredTypes: readonly number[];
  /** By SQL PREPARE rather than the protocol, for pg_prepared_statements. */
  readonly isFromSql: boolean;
  /** Resolved when the statement was made. */
  parameterTypes: readonly number[];
  columns: readonly ResultColumn[] | undefined;
  /** What it is if not planned. */
  command: UtilityCommand | undefined;
  /** The plan last used, and for which state of the catalogue and settings: kept here so that executing again looks up nothing. */
  plan: { readonly planned: PlannedStatement; readonly stamp: PlanStamp } | undefined;

  /** The plan as it is given out when it was started at once. */
  begun: { readonly planned: PlannedStatement; readonly hasBegun: true } | undefined;

  constructor(
    name: string,
    statement: RawStatement | undefined,
    declaredTypes: readonly number[],
    isFromSql: boolean,
  ) {
    this.name = name;
    this.statement = statement;
    this.declaredTypes = declaredTypes;
    this.parameterTypes = declaredTypes;
    this.isFromSql = isFromSql;
  }

  /** May run in a failed transaction block. */
  get runsInFailed(): boolean {
    return this.statement === undefined || this.command?.runsInFailed === true;
  }

  /** Remembers the columns at first, later insists on them. */
  checkColumns(columns: readonly ResultColumn[] | undefined): void {
    const before = this.columns;
    if (before === columns) return;
    const isSame =
      before !== undefined &&
      columns !== undefined &&
      before.length === columns.length &&
      before.every((column, i) => {
        const now = columns[i];
        return (
          now !== undefined &&
          column.typeOid === now.typeOid &&
          column.typmod === now.typmod &&
          column.name === now.name
        );
      });
    if (!isSame) {
      throw new SqlError(SqlState.featureNotSupported, "cached plan must not change result type");
    }
  }
}
