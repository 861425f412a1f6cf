// What executing a definition needs of the session: the open engine transaction, the catalogue with the transaction's own
// changes, and ways to wait. Entries written here reach the engine and the session's overlay together.
import type { CatalogSnapshot } from "../../../catalog/catalog.ts";
import type { CatalogEntry, TableEntry } from "../../../catalog/entries.ts";
import type { Notice } from "../../../common/error.ts";
import type { FunctionContext } from "../../../common/function-context.ts";
import type { Datum } from "../../../common/types/type.ts";
import type { Engine, EngineTransaction } from "../../../native/engine.ts";
import type { BoundExpression } from "../../../planner/logical/expression.ts";

export interface DefinitionContext {
  readonly engine: Engine;
  readonly transaction: EngineTransaction;
  readonly functions: FunctionContext;
  /** The session's user. */
  readonly roleOid: number;
  /** Schema of this session's temporary objects, made on first use. */
  temporarySchema(): number;
  /** Newest committed entries and own changes so far. */
  catalog(): CatalogSnapshot;
  /** Schemas in force, implicit ones included: what need not be qualified in messages. */
  searchPath(): readonly string[];
  put(entry: CatalogEntry): void;
  remove(entry: CatalogEntry): void;
  /** Resolves when the engine delivers the token; 57014 when the statement is cancelled meanwhile. */
  wait(token: number): Promise<void>;
  /**
   * Waits for a table lock in one of PostgreSQL's modes (8 = ACCESS EXCLUSIVE, 5 = SHARE). Afterwards catalog() holds what
   * was committed meanwhile.
   */
  lockRelation(oid: number, mode: number): Promise<void>;
  /** Waits for the end of the transactions that may have written the table by now; who comes later does not wait for it. */
  awaitWriters(oid: number): Promise<void>;
  notice(notice: Notice): void;
  /** Throws 55006 while changes of the table's rows wait for deferred checks; `action` as the message names it. */
  refuseWhileChecksWait(table: TableEntry, action: string): Promise<void>;
  /** maintenance_work_mem. */
  maintenanceMemoryBytes(): number;
  /** Value of an expression without columns, in this transaction. */
  evaluate(expression: BoundExpression): Promise<Datum>;
  /**
   * First row of `table` for which the condition text is false, or whose column is NULL, as its values; undefined = none.
   * Checks existing rows before SET NOT NULL and ADD CHECK.
   */
  findViolation(tableOid: number, condition: string): Promise<readonly Datum[] | undefined>;
  /** Runs a statement without a result in this transaction. */
  execute(sql: string): Promise<void>;
  /** A stored expression over the columns of `table`, deparsed with the names that those have in `renamed`. */
  rewriteText(text: string, table: TableEntry, renamed: TableEntry): string;
  /** attnums that a stored expression over the columns of `table` reads. */
  attnumsRead(text: string, table: TableEntry): readonly number[];
  /**
   * Computes stored columns (generated ones, by attnum) that this transaction has added to the table, for the rows that exist:
   * beside their versions, or, where the transaction has written some of them, by new versions of all. Returns the commit up
   * to which rows have values now: with `since`, such a number, only the versions after it get theirs.
   */
  fillColumns(table: TableEntry, attnums: readonly number[], since?: number): Promise<number>;
  /** First row of a query in this transaction, as a client's would be run; undefined = none. */
  firstRow(sql: string): Promise<readonly Datum[] | undefined>;
  /** Removes every entry and relation of another database. */
  dropDatabaseContents(databaseOid: number): void;
  /** Process ids of the sessions connected to a database, this one aside. */
  sessionsOf(databaseOid: number): readonly number[];
  terminateSession(processId: number): void;
  /** Sleeps, woken by cancel (57014). */
  sleep(milliseconds: number): Promise<void>;
}
