// What one execution of one statement carries: the transaction, parameter values, limits, and the state that plans, being
// shared between executions, must not hold (outer slots, CTE results, subquery results, captured text queries).
// Made by the session for each execution; everything here ends with the statement.
import type { CatalogSnapshot, EngineStatistics } from "../catalog/catalog.ts";
import type { Batch } from "../common/batch/vector.ts";
import { SqlError, SqlState } from "../common/error.ts";
import type { FunctionContext } from "../common/function-context.ts";
import type { Datum } from "../common/types/type.ts";
import type { Engine, EngineTransaction, TextQuery } from "../native/engine.ts";
import type { PhysicalPlan } from "../planner/physical/plan.ts";
import { ConstraintEvents } from "./constraint/events.ts";
import type { ConstraintHost } from "./constraint/host.ts";
import type { Operator } from "./operators/operator.ts";
import { BufferPool } from "./storage/buffer-pool.ts";

/** A statement that holds more than this ends with 53200: sorts, hashes and CTEs live in memory and do not spill. */
export const STATEMENT_MEMORY_LIMIT_BYTES = 1 << 30;

/** A slice of work after which the statement lets other sessions of its worker run. */
export const SLICE_MS = 4;

/** Interrupts are looked for this often at most. */
const LOOK_MS = 1;

const timer = performance;
const milliseconds = (): number => timer.now();

/** Rows per batch unless a test asks for another size: the engine's chunk. */
export const DEFAULT_BATCH_ROWS = 4096;

export interface ExecutionSettings {
  /** omendb.exact: vector searches answer exactly. */
  readonly exact: boolean;
  /** hnsw.ef_search when the user set it. */
  readonly efSearch: number | undefined;
  /** hnsw.target_recall, undefined when it is off. */
  readonly targetRecall: number | undefined;
  /** hnsw.max_scan_tuples where iterative scans are on and the user set it: vectors a graph search may look at. */
  readonly maxScanTuples: number | undefined;
  /** enable_indexscan: off = searches are exact. */
  readonly enableIndexscan: boolean;
  readonly workMemBytes: number;
}

/** What EXPLAIN ANALYZE shows about one node. */
export interface NodeStatistics {
  /** Times the node was opened. */
  loops: number;
  rows: number;
  startupMs: number;
  totalMs: number;
  rowsRemovedByFilter: number;
  /** Further lines, such as a search's path and counters. */
  readonly extra: Map<string, string>;
}

export interface ExecutionOptions {
  readonly transaction: EngineTransaction;
  readonly engine: Engine;
  /** Resolves when the engine delivered the token. */
  readonly wait: (token: number) => Promise<void>;
  /** Values of $1... in order. */
  readonly parameters: readonly Datum[];
  readonly functionContext: FunctionContext;
  readonly catalog: CatalogSnapshot;
  readonly statistics: EngineStatistics;
  readonly settings: ExecutionSettings;
  /** Throws 57014 or 57P01 when the session was told to stop. */
  readonly checkInterrupt: () => void;
  readonly constraints: ConstraintHost;
  /** Filled per plan node id when given. */
  readonly instrument?: Map<number, NodeStatistics> | undefined;
  /** Kept by the session from statement to statement so that small statements allocate nothing. */
  readonly buffers?: BufferPool | undefined;
  readonly batchRows?: number | undefined;
  /** Milliseconds; a test may own it. */
  readonly clock?: (() => number) | undefined;
}

/** Rows of a CTE or a recursive working table: kept batches, read any number of times. */
export interface CteSource {
  open(): { next(): Batch | undefined | Promise<Batch | undefined> };
}

export class ExecutionContext {
  readonly transaction: EngineTransaction;
  readonly engine: Engine;
  readonly wait: (token: number) => Promise<void>;
  readonly parameters: readonly Datum[];
  readonly functionContext: FunctionContext;
  readonly catalog: CatalogSnapshot;
  readonly statistics: EngineStatistics;
  readonly settings: ExecutionSettings;
  readonly instrument: Map<number, NodeStatistics> | undefined;
  readonly buffers: BufferPool;
  readonly batchRows: number;
  readonly clock: () => number;
  readonly checkInterrupt: () => void;
  readonly constraints: ConstraintHost;
  /** What the statement has noted for constraints that are looked at when it ends. */
  get events(): ConstraintEvents {
    this.#events ??= new ConstraintEvents();
    return this.#events;
  }
  get hasEvents(): boolean {
    return this.#events !== undefined && !this.#events.isEmpty;
  }
  /** Values of outer parameters by id: set by the operator or subquery that runs the inner plan. */
  readonly outer: Datum[] = [];
  /** CTEs in scope by id. */
  get ctes(): Map<number, CteSource> {
    this.#ctes ??= new Map();
    return this.#ctes;
  }
  /** Results of subqueries, kept while the outer values they read are the same; keyed by the expression. */
  get subqueries(): Map<object, unknown> {
    this.#subqueries ??= new Map();
    return this.#subqueries;
  }
  /** Plan -> Operator, given by execution.ts (expressions run plans, and plans hold expressions). */
  readonly buildOperator: (plan: PhysicalPlan, context: ExecutionContext) => Operator;
  /** The plan node whose rows the command tag counts; data-modifying CTEs do not count. */
  mainPlanId: number | undefined;
  #rowsAffected = 0;
  // Made when first needed: most statements have none of these.
  #ctes: Map<number, CteSource> | undefined;
  #subqueries: Map<object, unknown> | undefined;
  #textQueries: Map<string, TextQuery> | undefined;
  #events: ConstraintEvents | undefined;
  #memoryBytes = 0;
  #sliceStart: number;
  /** The statement's start counts as a look: the session has looked there. */
  #lastLook: number;

  constructor(
    options: ExecutionOptions,
    buildOperator: (plan: PhysicalPlan, context: ExecutionContext) => Operator,
  ) {
    this.transaction = options.transaction;
    this.engine = options.engine;
    this.wait = options.wait;
    this.parameters = options.parameters;
    this.functionContext = options.functionContext;
    this.catalog = options.catalog;
    this.statistics = options.statistics;
    this.settings = options.settings;
    this.instrument = options.instrument;
    this.buffers = options.buffers ?? new BufferPool();
    this.batchRows = options.batchRows ?? DEFAULT_BATCH_ROWS;
    this.clock = options.clock ?? milliseconds;
    this.checkInterrupt = options.checkInterrupt;
    this.constraints = options.constraints;
    this.buildOperator = buildOperator;
    this.#sliceStart = this.clock();
    this.#lastLook = this.#sliceStart;
  }

  /** Once per batch: stops a cancelled statement, and gives way (a promise) when the slice is used up. */
  turn(): Promise<void> | undefined {
    const now = this.clock();
    this.#look(now);
    return now - this.#sliceStart < SLICE_MS ? undefined : this.#giveWay();
  }

  /** Throws when the session was told to stop. The engine is asked once a millisecond at most: its flag is a call away. */
  look(): void {
    this.#look(this.clock());
  }

  #look(now: number): void {
    if (now - this.#lastLook < LOOK_MS) return;
    this.#lastLook = now;
    this.checkInterrupt();
  }

  /** A promise that resolves after other work of the event loop ran, or undefined while the slice lasts. */
  yieldIfDue(): Promise<void> | undefined {
    return this.clock() - this.#sliceStart < SLICE_MS ? undefined : this.#giveWay();
  }

  #giveWay(): Promise<void> {
    return new Promise((resolve) => {
      setImmediate(() => {
        this.#sliceStart = this.clock();
        resolve();
      });
    });
  }

  /** Rows changed by the statement's main INSERT, UPDATE or DELETE. */
  get rowsAffected(): number {
    return this.#rowsAffected;
  }

  countAffected(planId: number, rows: number): void {
    if (planId === this.mainPlanId) this.#rowsAffected += rows;
  }

  /** Counts memory that the statement keeps; 53200 beyond the limit. */
  growMemory(bytes: number): void {
    this.#memoryBytes += bytes;
    if (this.#memoryBytes > STATEMENT_MEMORY_LIMIT_BYTES) {
      throw new SqlError(SqlState.outOfMemory, "out of memory", {
        detail: `The statement needs more than ${STATEMENT_MEMORY_LIMIT_BYTES / (1 << 20)} MB for intermediate rows.`,
      });
    }
  }

  shrinkMemory(bytes: number): void {
    this.#memoryBytes -= bytes;
  }

  /** The query against an index's statistics, captured at first use: every branch of the statement scores alike. */
  textQuery(indexStorageId: number, query: string): TextQuery {
    const key = `${indexStorageId}/${query}`;
    this.#textQueries ??= new Map();
    let captured = this.#textQueries.get(key);
    if (captured === undefined) {
      captured = this.transaction.textQuery(indexStorageId, query);
      this.#textQueries.set(key, captured);
    }
    return captured;
  }

  /** Frees native handles; the execution is over. */
  close(): void {
    for (const query of this.#textQueries?.values() ?? []) query.close();
    this.#textQueries = undefined;
  }
}
