// COPY FROM STDIN and COPY TO STDOUT. The target of a COPY FROM is planned as the INSERT it is, so that defaults, generated
// columns and constraints are the same; COPY table TO is the SELECT of its columns. Data flows between the executor's COPY
// and the receiver; nothing is collected on the way.
import type { ColumnEntry, TableEntry } from "../../catalog/entries.ts";
import { must } from "../../common/assert.ts";
import { notSupported, SqlError, SqlState } from "../../common/error.ts";
import { createContext } from "../../executor/execution.ts";
import { CopyIn, copyOut, type CopyProgress } from "../../executor/utility/copy.ts";
import { createCopyDecoder } from "../../native/index.ts";
import type { Node, RawStatement } from "../../parser/tree.ts";
import type { InsertPlan } from "../../planner/physical/plan.ts";
import type { SessionCore } from "../core.ts";
import { lockedPlan } from "../planning.ts";
import type { Started } from "../portal.ts";
import { PreparedStatement } from "../prepared-statement.ts";
import type { CopySource } from "../result.ts";
import { openPlan } from "../plan-runner.ts";
import { type UtilityCall, type UtilityCommand, done } from "./command.ts";
import { copyFormat } from "./copy-options.ts";

const EMPTY = new Uint8Array(0);

interface RangeName {
  readonly schemaname?: string;
  readonly relname?: string;
  readonly location?: number;
}

interface CopyStatement {
  readonly relation?: RangeName;
  readonly query?: Node;
  readonly attlist?: readonly Node[];
  readonly is_from?: boolean;
  readonly is_program?: boolean;
  readonly filename?: string;
  readonly options?: readonly Node[];
  readonly whereClause?: Node;
}

export function copyCommand(statement: CopyStatement): UtilityCommand {
  if (statement.is_program === true) throw notSupported("COPY to or from a program");
  if (statement.filename !== undefined) {
    if (statement.is_from !== true && !statement.filename.startsWith("/")) {
      throw new SqlError(SqlState.invalidName, "relative path not allowed for COPY to file");
    }
    throw notSupported("COPY to or from a file of the server");
  }
  if (statement.whereClause !== undefined) throw notSupported("COPY FROM with WHERE");
  return {
    run: (call) => (statement.is_from === true ? copyFrom(call, statement) : copyTo(call, statement)),
  };
}

async function copyFrom(
  { core, statement: raw, receiver }: UtilityCall,
  statement: CopyStatement,
): Promise<Started> {
  core.refuseReadOnly("COPY FROM");
  const table = targetTable(core, must(statement.relation, "COPY FROM names a table"));
  const columns = copiedColumns(table, statement.attlist);
  const names = columns.map((column) => column.name);
  const format = copyFormat(statement.options, { isFrom: true, columns: names, relation: table.name });
  const { plan } = await planned(core, raw, insertOf(statement.relation ?? {}, names));
  if (plan.kind !== "insert") throw notSupported(`COPY into "${table.name}"`);
  await core.holdPortals(undefined);
  const options = core.executionOptions([]);
  core.transactions.beginStatement();
  const context = createContext(options);
  const copy = new CopyIn(plan satisfies InsertPlan, format, createCopyDecoder, context);
  const source = receiver.copyIn({ isBinary: format.format === "binary", columnCount: columns.length });
  try {
    await feed(core, source, copy);
    return done(`COPY ${await copy.finish()}`);
  } finally {
    copy.abort();
  }
}

async function feed(core: SessionCore, source: CopySource, copy: CopyIn): Promise<void> {
  for (;;) {
    const pulled = source.next();
    const chunk = pulled instanceof Promise ? await core.interrupts.during(pulled) : pulled;
    if (chunk === undefined) return;
    const pushing = copy.push(chunk);
    if (pushing instanceof Promise) await pushing;
  }
}

async function copyTo(
  { core, statement: raw, receiver, portal }: UtilityCall,
  statement: CopyStatement,
): Promise<Started> {
  let query = statement.query;
  let relation = "";
  if (query === undefined) {
    const name = must(statement.relation, "COPY TO names a table or a query");
    const table = targetTable(core, name);
    relation = table.name;
    query = selectOf(
      name,
      copiedColumns(table, statement.attlist).map((column) => column.name),
    );
  }
  const plan = await planned(core, raw, query);
  if (plan.result === undefined)
    throw new SqlError(SqlState.featureNotSupported, "COPY query must have a RETURNING clause");
  const columns = plan.result.map((column) => column.name);
  const format = copyFormat(statement.options, { isFrom: false, columns, relation });
  const stream = await openPlan(core, plan, portal.parameters, portal);
  const progress: CopyProgress = { rowCount: 0 };
  receiver.copyOut({ isBinary: format.format === "binary", columnCount: columns.length });
  // PostgreSQL sends the binary header together with what follows it, and psycopg counts on that.
  let header: Uint8Array | undefined;
  for await (const chunks of copyOut(stream, format, core.types, progress)) {
    for (const chunk of chunks) {
      if (format.format === "binary" && header === undefined) {
        header = chunk;
        continue;
      }
      const wait = receiver.copyData(
        header === undefined || header.length === 0 ? chunk : Buffer.concat([header, chunk]),
      );
      if (header !== undefined) header = EMPTY;
      if (wait !== undefined) await wait;
    }
  }
  receiver.copyDone();
  return done(`COPY ${progress.rowCount}`);
}

function planned(core: SessionCore, raw: RawStatement, node: Node): ReturnType<typeof lockedPlan> {
  const statement: RawStatement = { ...raw, node };
  return lockedPlan(core, new PreparedStatement("", statement, [], true), statement);
}

function targetTable(core: SessionCore, name: RangeName): TableEntry {
  core.database.refresh();
  const relname = name.relname ?? "";
  const ref = core.catalog().relation(name.schemaname, relname, core.schemaPath(true));
  if (ref?.kind === "table") return ref.table;
  if (ref === undefined) {
    const shown = name.schemaname === undefined ? relname : `${name.schemaname}.${relname}`;
    throw new SqlError(SqlState.undefinedTable, `relation "${shown}" does not exist`);
  }
  if (ref.kind === "sequence" || ref.kind === "index") {
    throw new SqlError(SqlState.wrongObjectType, `cannot copy to or from ${ref.kind} "${relname}"`);
  }
  throw notSupported(`COPY of the system relation "${relname}"`);
}

/** The columns named, or all that can be written. */
function copiedColumns(table: TableEntry, names: readonly Node[] | undefined): readonly ColumnEntry[] {
  const present = table.columns.filter((column) => !column.isDropped);
  if (names === undefined || names.length === 0)
    return present.filter((column) => column.generated === undefined);
  const chosen: ColumnEntry[] = [];
  for (const node of names) {
    const name = "String" in node ? (node.String.sval ?? "") : "";
    const column = present.find((entry) => entry.name === name);
    if (column === undefined) {
      throw new SqlError(
        SqlState.undefinedColumn,
        `column "${name}" of relation "${table.name}" does not exist`,
      );
    }
    if (column.generated !== undefined) {
      throw new SqlError(SqlState.invalidColumnReference, `column "${name}" is a generated column`, {
        detail: "Generated columns cannot be used in COPY.",
      });
    }
    if (chosen.includes(column)) {
      throw new SqlError(SqlState.duplicateColumn, `column "${name}" specified more than once`);
    }
    chosen.push(column);
  }
  return chosen;
}

function rangeVar({ schemaname, relname }: RangeName): Record<string, unknown> {
  return { ...(schemaname === undefined ? {} : { schemaname }), relname, inh: true, relpersistence: "p" };
}

/** INSERT INTO table (columns) VALUES (NULL, ...): its values are never computed, only its target is used. */
function insertOf(relation: RangeName, columns: readonly string[]): Node {
  const nulls = columns.map(() => ({ A_Const: { isnull: true } }));
  return {
    InsertStmt: {
      relation: rangeVar(relation),
      cols: columns.map((name) => ({ ResTarget: { name } })),
      selectStmt: {
        SelectStmt: {
          valuesLists: [{ List: { items: nulls } }],
          limitOption: "LIMIT_OPTION_DEFAULT",
          op: "SETOP_NONE",
        },
      },
      // COPY writes identity columns as they come.
      override: "OVERRIDING_SYSTEM_VALUE",
    },
  };
}

function selectOf(relation: RangeName, columns: readonly string[]): Node {
  return {
    SelectStmt: {
      targetList: columns.map((name) => ({
        ResTarget: { val: { ColumnRef: { fields: [{ String: { sval: name } }] } } },
      })),
      fromClause: [{ RangeVar: rangeVar(relation) }],
      limitOption: "LIMIT_OPTION_DEFAULT",
      op: "SETOP_NONE",
    },
  };
}
