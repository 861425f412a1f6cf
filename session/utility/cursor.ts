// DECLARE, FETCH, MOVE, CLOSE. A cursor is a portal with a name; it runs forward. A SCROLL cursor keeps all its rows from the
// start (scroll-rows.ts); moving backwards in any other is PostgreSQL's 55000 for plans that cannot.
import { notSupported, SqlError, SqlState } from "../../common/error.ts";
import type { Batch } from "../../common/batch/vector.ts";
import type { Node, RawStatement } from "../../parser/tree.ts";
import type { SessionCore } from "../core.ts";
import type { Portal, Started } from "../portal.ts";
import type { FormatCodes, ResultColumn } from "../result.ts";
import { KeptRows } from "../row-source.ts";
import type { FetchDirection } from "../scroll-rows.ts";
import { type UtilityCall, type UtilityCommand, done } from "./command.ts";

// PostgreSQL's CURSOR_OPT_* bits (nodes/parsenodes.h).
const BINARY = 0x1;
const SCROLL = 0x2;
const HOLD = 0x20;
/** FETCH ALL. */
const ALL = 2147483647;

/** Rows that MOVE passes over. */
const PASS = { rows: (): void => undefined };

interface DeclareStatement {
  readonly portalname?: string;
  readonly options?: number;
  readonly query?: Node;
}

export function declareCommand(statement: DeclareStatement): UtilityCommand {
  const name = statement.portalname ?? "";
  const options = statement.options ?? 0;
  return {
    query: statement.query,
    run: async (call) => {
      const { core } = call;
      const isHoldable = (options & HOLD) !== 0;
      if (!isHoldable && !core.transactions.isInBlock) {
        throw new SqlError(
          SqlState.noActiveSqlTransaction,
          "DECLARE CURSOR can only be used in transaction blocks",
        );
      }
      if (core.portals.has(name)) {
        throw new SqlError(SqlState.duplicateCursor, `cursor "${name}" already exists`);
      }
      if (statement.query === undefined) throw notSupported("DECLARE without a query");
      const query: RawStatement = { ...call.statement, node: statement.query };
      const formats = (options & BINARY) !== 0 ? [1] : [];
      const cursor = await openCursor(call, { name, query, formats, isHoldable });
      if ((options & SCROLL) !== 0) await cursor.makeScrollable();
      return done("DECLARE CURSOR");
    },
  };
}

/** Prepares the query with the parameters of the DECLARE itself, opens it and registers it. */
async function openCursor(
  { core, portal: outer, receiver, statements }: UtilityCall,
  cursor: {
    readonly name: string;
    readonly query: RawStatement;
    readonly formats: FormatCodes;
    readonly isHoldable: boolean;
  },
): Promise<Portal> {
  const prepared = statements.prepare(core, "", cursor.query, outer.statement.parameterTypes, true);
  if (prepared.columns === undefined) {
    throw new SqlError(
      SqlState.invalidCursorDefinition,
      "DECLARE CURSOR must not contain data-modifying statements",
    );
  }
  const { parameters } = outer;
  const portal = statements.makePortal(core, { ...cursor, prepared, parameters });
  core.portals.set(cursor.name, portal);
  core.cursors.add(portal);
  await portal.open(receiver);
  return portal;
}

interface FetchStatement {
  readonly direction?: string | undefined;
  readonly howMany?: number | bigint | undefined;
  readonly portalname?: string | undefined;
  readonly ismove?: boolean | undefined;
}

export function fetchCommand(statement: FetchStatement): UtilityCommand {
  const name = statement.portalname ?? "";
  const { direction, count } = movement(statement);
  if (statement.ismove === true) {
    return {
      run: async ({ core }) => {
        const portal = requirePortal(core, name);
        const { scroll } = portal;
        if (scroll !== undefined) return done(`MOVE ${scroll.fetch(direction, count).rowCount}`);
        return done(`MOVE ${await portal.fetch(forwardOnly(direction, count), PASS)}`);
      },
    };
  }
  return {
    columns: (core) => columnsOf(core, name),
    run: ({ core }) => {
      const portal = requirePortal(core, name);
      const { scroll } = portal;
      if (scroll === undefined) return fetchRows(portal, forwardOnly(direction, count));
      const rows = new KeptRows([scroll.fetch(direction, count)].filter((batch) => batch.rowCount > 0));
      return { rows, tag: (rowCount) => `FETCH ${rowCount}`, mustFinish: false };
    },
  };
}

function movement(statement: FetchStatement): { readonly direction: FetchDirection; readonly count: number } {
  const howMany = Number(statement.howMany ?? 0);
  const count = howMany === ALL ? Number.POSITIVE_INFINITY : howMany;
  switch (statement.direction) {
    case "FETCH_BACKWARD":
      return { direction: "backward", count };
    case "FETCH_ABSOLUTE":
      return { direction: "absolute", count };
    case "FETCH_RELATIVE":
      return { direction: "relative", count };
    default:
      return { direction: "forward", count };
  }
}

/** How many rows on; 55000 for what would need a row that has been given away. */
function forwardOnly(direction: FetchDirection, count: number): number {
  if (direction === "forward" && count > 0) return count;
  if (direction === "relative" && count === 1) return 1;
  throw new SqlError(SqlState.objectNotInPrerequisiteState, "cursor can only scan forward", {
    hint: "Declare it with SCROLL option to enable backward scan.",
  });
}

function fetchRows(portal: Portal, count: number): Started {
  let rest = count;
  return {
    rows: {
      next: async () => {
        if (rest <= 0) return undefined;
        let piece: Batch | undefined;
        // One batch of the cursor at a time: fetch() stops at the border of its current batch when asked for no more.
        rest -= await portal.fetchPiece(rest, (batch) => {
          piece = batch;
        });
        return piece;
      },
      close: () => undefined,
    },
    tag: (rowCount) => `FETCH ${rowCount}`,
    mustFinish: false,
  };
}

export function closeCommand(statement: { readonly portalname?: string }): UtilityCommand {
  const name = statement.portalname;
  if (name === undefined || name === "") {
    return {
      run: ({ core, portal }) => {
        closeAllPortals(core, portal);
        return done("CLOSE CURSOR ALL");
      },
    };
  }
  return {
    run: ({ core }) => {
      requirePortal(core, name).close();
      core.portals.delete(name);
      return done("CLOSE CURSOR");
    },
  };
}

/** `except`: the portal that runs the command itself. */
export function closeAllPortals(core: SessionCore, except?: Portal): void {
  for (const [name, portal] of core.portals) {
    if (portal === except) continue;
    portal.close();
    core.portals.delete(name);
  }
}

function requirePortal(core: SessionCore, name: string): Portal {
  const portal = core.portals.get(name);
  if (portal !== undefined) return portal;
  throw new SqlError(SqlState.invalidCursorName, `cursor "${name}" does not exist`);
}

function columnsOf(core: SessionCore, name: string): readonly ResultColumn[] | undefined {
  return requirePortal(core, name).columns;
}
