// Function bodies and how they are found. pg_proc, pg_operator, pg_cast and pg_aggregate are generated data from a live
// PostgreSQL 15 (catalog/generated); a body is attached by the name of PostgreSQL's internal function (pg_proc.prosrc, such as
// "int4pl"), so one body serves every SQL name and operator that reaches it. A pg_proc row without a body still takes
// part in overload resolution; calling it is 0A000 naming the function.
import type { FunctionContext } from "../../common/function-context.ts";
import type { Vector } from "../../common/batch/vector.ts";
import type { Datum, SqlType } from "../../common/types/type.ts";

/** One call site: made once per compiled expression, passed to every call. */
export interface FunctionCall {
  readonly context: FunctionContext;
  readonly argumentTypes: readonly SqlType[];
  readonly resultType: SqlType;
}

/** One result for one row. Strict functions (pg_proc.proisstrict) are never called with a NULL argument. */
export interface ScalarBody {
  readonly kind: "scalar";
  readonly row: (args: readonly Datum[], call: FunctionCall) => Datum;
  /** Whole-batch kernel, NULLs included; undefined result = "not these representations", then `row` runs. */
  readonly batch?: (args: readonly Vector[], rowCount: number, call: FunctionCall) => Vector | undefined;
}

/** May wait (locks, sleep); runs only where the executor can wait between rows. */
export interface AsyncBody {
  readonly kind: "async";
  readonly row: (args: readonly Datum[], call: FunctionCall) => Promise<Datum>;
}

/** Set-returning. One Datum a row, or an array of Datums where the function has several OUT columns. */
export interface SetBody {
  readonly kind: "set";
  readonly rows: (args: readonly Datum[], call: FunctionCall) => Iterable<Datum | readonly Datum[]>;
}

/**
 * Aggregate. `strict`: rows with a NULL argument are skipped. States are values: step returns the new state (the same
 * object when it mutates). finish does not change the state.
 */
export interface AggregateBody {
  readonly kind: "aggregate";
  readonly strict: boolean;
  readonly init: (call: FunctionCall) => unknown;
  readonly step: (state: unknown, args: readonly Datum[], call: FunctionCall) => unknown;
  readonly finish: (state: unknown, call: FunctionCall) => Datum;
  /** Folds a whole batch into one state (no GROUP BY); undefined = not these representations. */
  readonly stepBatch?: (
    state: unknown,
    args: readonly Vector[],
    rowCount: number,
    call: FunctionCall,
  ) => unknown;
}

export type FunctionBody = ScalarBody | AsyncBody | SetBody | AggregateBody;

/** Row of pg_proc as the binder and executor need it. */
export interface FunctionEntry {
  readonly oid: number;
  readonly name: string;
  readonly namespace: number;
  /** f function, a aggregate, w window, p procedure */
  readonly kind: "f" | "a" | "w" | "p";
  readonly isStrict: boolean;
  readonly returnsSet: boolean;
  readonly volatility: "i" | "s" | "v";
  readonly resultType: number;
  readonly argumentTypes: readonly number[];
  /** IN, OUT, TABLE columns where there are any. */
  readonly allArgumentTypes: readonly number[] | undefined;
  readonly argumentModes: readonly string[] | undefined;
  readonly argumentNames: readonly string[] | undefined;
  readonly variadicType: number;
  /** Trailing arguments that have defaults, as SQL text. */
  readonly defaults: readonly string[];
  /** PostgreSQL's internal name: the key of the body. */
  readonly source: string;
  readonly body: FunctionBody | undefined;
}

export interface OperatorEntry {
  readonly oid: number;
  readonly name: string;
  readonly namespace: number;
  /** b infix, l prefix */
  readonly kind: "b" | "l";
  /** 0 for a prefix operator. */
  readonly leftType: number;
  readonly rightType: number;
  readonly resultType: number;
  readonly functionOid: number;
  readonly commutator: number;
  readonly negator: number;
  readonly canHash: boolean;
}

export interface CastEntry {
  readonly source: number;
  readonly target: number;
  /** 0 = binary coercible or through text. */
  readonly functionOid: number;
  /** i implicit, a assignment, e explicit */
  readonly context: "i" | "a" | "e";
  /** f function, b binary coercible, i through text input and output */
  readonly method: "f" | "b" | "i";
}
