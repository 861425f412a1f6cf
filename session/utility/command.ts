// What every utility command is made of: statements that are not planned. One file per family turns trees into these.
import { Oid } from "../../common/types/oid.ts";
import type { Datum } from "../../common/types/type.ts";
import type { Node, RawStatement } from "../../parser/tree.ts";
import type { SessionCore } from "../core.ts";
import type { Portal, Started } from "../portal.ts";
import type { PreparedStatement } from "../prepared-statement.ts";
import type { FormatCodes, ResultColumn, ResultReceiver } from "../result.ts";

/** How commands make statements of their own (statement-runner.ts). */
export interface StatementFactory {
  readonly prepare: (
    core: SessionCore,
    name: string,
    statement: RawStatement | undefined,
    declaredTypes: readonly number[],
    isFromSql: boolean,
  ) => PreparedStatement;
  readonly makePortal: (
    core: SessionCore,
    request: {
      readonly name: string;
      readonly prepared: PreparedStatement;
      readonly parameters: readonly Datum[];
      readonly formats: FormatCodes;
      readonly isHoldable?: boolean;
    },
  ) => Portal;
}

export interface UtilityCall {
  readonly core: SessionCore;
  readonly statement: RawStatement;
  /** The portal that runs the command. */
  readonly portal: Portal;
  /** Where COPY sends and gets its data. */
  readonly receiver: ResultReceiver;
  readonly statements: StatementFactory;
}

export interface UtilityCommand {
  /** May run in a failed transaction block: what ends it. */
  readonly runsInFailed?: boolean;
  /** The query inside (EXPLAIN, DECLARE): where its parameters stand decides their types. */
  readonly query?: Node | undefined;
  /** Columns of the result; undefined = none. Asked before it runs. */
  readonly columns?: (core: SessionCore) => readonly ResultColumn[] | undefined;
  readonly run: (call: UtilityCall) => Started | Promise<Started>;
}

/** A command that is done when it has run. */
export function done(tag: string): Started {
  return { rows: undefined, tag: () => tag, mustFinish: false };
}

export function textColumn(name: string): ResultColumn {
  return { name, tableOid: 0, attnum: 0, typeOid: Oid.text, typeLength: -1, typmod: -1 };
}
