// DECLARE, FETCH, MOVE, CLOSE. A cursor is a portal with a name; it runs forward. SCROLL and holdable cursors keep their
// rows (row-source.ts); fetching backwards from any other is PostgreSQL's 55000.
import { notSupported, SqlError, SqlState } from "../../common/error.ts";
import type { Batch } from "../../common/batch/vector.ts";
import type { Node, RawStatement } from "../../parser/tree.ts";
import type { SessionCore } from "../core.ts";
import type { Portal, Started } from "../portal.ts";
import type { ResultColumn } from "../result.ts";
import { openCursor } from "../statement-runner.ts";
import { type UtilityCommand, done } from "./command.ts";

// PostgreSQL's CURSOR_OPT_* bits (nodes/parsenodes.h).
const BINARY = 0x1;
const SCROLL = 0x2;
const HOLD = 0x20;
/** FETCH ALL. */
const ALL = 2147483647;

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
      if ((options & SCROLL) !== 0) throw notSupported("SCROLL cursors");
      if (core.portals.has(name)) {
        throw new SqlError(SqlState.duplicateCursor, `cursor "${name}" already exists`);
      }
      if (statement.query === undefined) throw notSupported("DECLARE without a query");
      const query: RawStatement = { ...call.statement, node: statement.query };
      const formats = (options & BINARY) !== 0 ? [1] : [];
      const { portal: outer, receiver } = call;
      await openCursor(core, { name, query, formats, isHoldable, outer, receiver });
      return done("DECLARE CURSOR");
    },
  };
}

interface FetchStatement {
  readonly direction?: string | undefined;
  readonly howMany?: number | bigint | undefined;
  readonly portalname?: string | undefined;
  readonly ismove?: boolean | undefined;
}

export function fetchCommand(statement: FetchStatement): UtilityCommand {
  const name = statement.portalname ?? "";
  if (statement.ismove === true) {
    return {
      run: async ({ core }) => {
        const moved = await requirePortal(core, name).fetch(rowsWanted(statement), () => undefined);
        return done(`MOVE ${moved}`);
      },
    };
  }
  return {
    columns: (core) => columnsOf(core, name),
    run: ({ core }) => fetchRows(requirePortal(core, name), rowsWanted(statement)),
  };
}

/** Forward counts only: everything else would need a row that has been given away. */
function rowsWanted(statement: FetchStatement): number {
  const count = Number(statement.howMany ?? 0);
  const isForward = statement.direction === "FETCH_FORWARD" || statement.direction === "FETCH_RELATIVE";
  if (isForward && count >= 0 && (statement.direction === "FETCH_FORWARD" || count <= 1)) {
    return count === ALL ? Number.POSITIVE_INFINITY : count;
  }
  if (statement.direction === "FETCH_BACKWARD" || count < 0) {
    throw new SqlError(SqlState.objectNotInPrerequisiteState, "cursor can only scan forward", {
      hint: "Declare it with SCROLL option to enable backward scan.",
    });
  }
  throw notSupported("FETCH ABSOLUTE, FIRST, LAST and RELATIVE");
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
