// Aggregates but the statistical ones (statistics.ts). Keys are "agg:name:argument oids", or "agg:name" for every overload.
// States are small mutable objects. Sums of integers are exact; int8 sums are numeric, as in PostgreSQL, and kept as
// number until they leave 53 bits.
import { must } from "../../common/assert.ts";
import type { Vector } from "../../common/batch/vector.ts";
import { SqlArray } from "../../common/types/array.ts";
import { Interval } from "../../common/types/interval.ts";
import { canonicalJsonb } from "../../common/types/jsonb.ts";
import { Numeric } from "../../common/types/numeric.ts";
import { Oid } from "../../common/types/oid.ts";
import { codecOf } from "../../common/types/registry.ts";
import type { Datum } from "../../common/types/type.ts";
import { numberOperand } from "./batch.ts";
import type { BodyTable } from "./body.ts";
import { floatOverflow } from "./float.ts";
import type { AggregateBody, FunctionCall } from "./function.ts";
import { type Int8, checkInt8 } from "./integer.ts";
import { divideInterval } from "./interval-arithmetic.ts";
import { jsonKey, jsonOf } from "./json-build.ts";

/** An aggregate whose state is an S; the casts of the untyped contract live here alone. */
export function aggregate<S>(definition: {
  readonly strict: boolean;
  readonly init: (call: FunctionCall) => S;
  readonly step: (state: S, args: readonly Datum[], call: FunctionCall) => void;
  readonly finish: (state: S, call: FunctionCall) => Datum;
  readonly stepBatch?: (state: S, args: readonly Vector[], rowCount: number, call: FunctionCall) => boolean;
}): AggregateBody {
  const { strict, init, step, finish, stepBatch } = definition;
  const body: AggregateBody = {
    kind: "aggregate",
    strict,
    init,
    step: (state, args, call) => {
      step(state as S, args, call);
      return state;
    },
    finish: (state, call) => finish(state as S, call),
  };
  if (stepBatch === undefined) return body;
  return {
    ...body,
    stepBatch: (state, args, rowCount, call) =>
      stepBatch(state as S, args, rowCount, call) ? state : undefined,
  };
}

const argumentOid = (call: FunctionCall, index = 0): number => call.argumentTypes[index]?.oid ?? Oid.text;

const count = aggregate<{ count: number }>({
  strict: true,
  init: () => ({ count: 0 }),
  step: (state) => {
    state.count += 1;
  },
  finish: (state) => state.count,
  stepBatch: (state, args, rowCount) => {
    const [arg] = args;
    if (arg === undefined) state.count += rowCount;
    else for (let row = 0; row < rowCount; row++) if (!arg.isNull(row)) state.count += 1;
    return true;
  },
});

/** Exact integer sum: a number while it is safe, else bigint. */
interface IntegerSum {
  sum: Int8 | bigint;
  count: number;
}

function addExact(state: IntegerSum, value: Int8): void {
  if (typeof state.sum === "number" && typeof value === "number") {
    const sum = state.sum + value;
    state.sum = Number.isSafeInteger(sum) ? sum : BigInt(state.sum) + BigInt(value);
  } else state.sum = BigInt(state.sum) + BigInt(value);
  state.count += 1;
}

function integerSum(finish: (state: IntegerSum) => Datum): AggregateBody {
  return aggregate<IntegerSum>({
    strict: true,
    init: () => ({ sum: 0, count: 0 }),
    step: (state, args) => addExact(state, args[0] as Int8),
    finish: (state) => (state.count === 0 ? null : finish(state)),
    stepBatch: (state, args, rowCount) => {
      const operand = numberOperand(args[0] as Vector);
      if (operand?.kind !== "column") return false;
      const { values, nulls } = operand;
      if (values instanceof Int32Array) {
        // At most 4,096 x 2^31: exact in a double.
        let sum = 0;
        let rows = 0;
        for (let row = 0; row < rowCount; row++) {
          if (nulls?.[row] === 1) continue;
          sum += values[row] as number;
          rows += 1;
        }
        addExact(state, sum);
        state.count += rows - 1;
      } else
        for (let row = 0; row < rowCount; row++)
          if (nulls?.[row] !== 1) addExact(state, values[row] as number);
      return true;
    },
  });
}

const integerAverage = integerSum((state) =>
  Numeric.fromInteger(state.sum).divide(Numeric.fromInteger(state.count)),
);

function numericSum(finish: (sum: Numeric, count: number) => Datum): AggregateBody {
  return aggregate<{ sum: Numeric; count: number }>({
    strict: true,
    init: () => ({ sum: Numeric.zero, count: 0 }),
    step: (state, args) => {
      state.sum = state.sum.add(args[0] as Numeric);
      state.count += 1;
    },
    finish: (state) => (state.count === 0 ? null : finish(state.sum, state.count)),
  });
}

function floatSum(round: (value: number) => number): AggregateBody {
  return aggregate<{ sum: number; count: number }>({
    strict: true,
    init: () => ({ sum: 0, count: 0 }),
    step: (state, args) => {
      const value = args[0] as number;
      // The first value is taken as it is, so that a sum of -0 is -0.
      const sum = state.count === 0 ? value : round(state.sum + value);
      if (!Number.isFinite(sum) && Number.isFinite(value) && Number.isFinite(state.sum))
        throw floatOverflow();
      state.sum = sum;
      state.count += 1;
    },
    finish: (state) => (state.count === 0 ? null : state.sum),
  });
}

function intervalSum(finish: (sum: Interval, count: number) => Datum): AggregateBody {
  return aggregate<{ sum: Interval; count: number }>({
    strict: true,
    init: () => ({ sum: new Interval(0, 0, 0), count: 0 }),
    step: (state, args) => {
      state.sum = state.sum.add(args[0] as Interval);
      state.count += 1;
    },
    finish: (state) => (state.count === 0 ? null : finish(state.sum, state.count)),
  });
}

/** min (-1) or max (1) by the type's btree order. */
function extreme(direction: -1 | 1): AggregateBody {
  return aggregate<{ value: Datum }>({
    strict: true,
    init: () => ({ value: null }),
    step: (state, args, call) => {
      const value = args[0] as Datum;
      if (state.value === null) {
        state.value = keep(value);
        return;
      }
      const compare = must(codecOf(argumentOid(call)).compare, "min and max exist for ordered types only");
      // Of equal values the later: 1.0 after 1.000.
      if (compare(value, state.value) * direction >= 0) state.value = keep(value);
    },
    finish: (state) => state.value,
    stepBatch: (state, args, rowCount) => {
      const operand = numberOperand(args[0] as Vector);
      if (operand?.kind !== "column") return false;
      const { values, nulls } = operand;
      let best = state.value as number | null;
      if (typeof best === "bigint") return false;
      for (let row = 0; row < rowCount; row++) {
        if (nulls?.[row] === 1) continue;
        const value = values[row] as number;
        // NaN is above everything.
        if (best === null) best = value;
        else if (direction > 0 ? value > best || value !== value : value < best || best !== best)
          best = value;
      }
      state.value = best;
      return true;
    },
  });
}

function boolean(isAll: boolean): AggregateBody {
  return aggregate<{ value: boolean | null }>({
    strict: true,
    init: () => ({ value: null }),
    step: (state, args) => {
      const value = args[0] as boolean;
      state.value = state.value === null ? value : isAll ? state.value && value : state.value || value;
    },
    finish: (state) => state.value,
  });
}

function bitwise(fn: (a: bigint, b: bigint) => bigint): AggregateBody {
  return aggregate<{ value: bigint | null }>({
    strict: true,
    init: () => ({ value: null }),
    step: (state, args) => {
      const value = BigInt(args[0] as Int8);
      state.value = state.value === null ? value : fn(state.value, value);
    },
    finish: (state) => (state.value === null ? null : checkInt8(state.value)),
  });
}

/** The delimiter of the first row is not used; NULL values are skipped, a NULL delimiter joins directly. */
const stringAggregate = aggregate<{ parts: string[] }>({
  strict: false,
  init: () => ({ parts: [] }),
  step: (state, args) => {
    if (args[0] === null) return;
    if (state.parts.length > 0) state.parts.push((args[1] ?? "") as string);
    state.parts.push(args[0] as string);
  },
  finish: (state) => (state.parts.length === 0 ? null : state.parts.join("")),
});

const byteaAggregate = aggregate<{ parts: Uint8Array[] }>({
  strict: false,
  init: () => ({ parts: [] }),
  step: (state, args) => {
    if (args[0] === null) return;
    if (state.parts.length > 0 && args[1] !== null) state.parts.push(args[1] as Uint8Array);
    state.parts.push(args[0] as Uint8Array);
  },
  finish: (state) => (state.parts.length === 0 ? null : new Uint8Array(Buffer.concat(state.parts))),
});

/** Values outlive the batch they came in. */
function keep(value: Datum): Datum {
  return value instanceof Float32Array || value instanceof Uint8Array ? value.slice() : value;
}

const arrayAggregate = aggregate<{ values: Datum[] }>({
  strict: false,
  init: () => ({ values: [] }),
  step: (state, args) => {
    state.values.push(keep(args[0] as Datum));
  },
  finish: (state, call) => {
    if (state.values.length === 0) return null;
    const oid = argumentOid(call);
    const first = state.values.find((value) => value !== null);
    if (first instanceof SqlArray && oid !== Oid.int2vector && oid !== Oid.oidvector) {
      return SqlArray.stack(first.elementOid, state.values as (SqlArray | null)[]);
    }
    return SqlArray.of(oid, state.values);
  },
});

function jsonArray(result: (text: string) => string): AggregateBody {
  return aggregate<{ parts: string[] }>({
    strict: false,
    init: () => ({ parts: [] }),
    step: (state, args, call) => {
      const value = args[0] as Datum;
      const text = jsonOf(value, argumentOid(call), call.context.types);
      // Rows and arrays after the first start a line of their own.
      const isStructured =
        value !== null && typeof value === "object" && (text.startsWith("{") || text.startsWith("["));
      state.parts.push(state.parts.length > 0 && isStructured ? `\n ${text}` : text);
    },
    finish: (state) => (state.parts.length === 0 ? null : result(`[${state.parts.join(", ")}]`)),
  });
}

function jsonObject(result: (text: string) => string): AggregateBody {
  return aggregate<{ parts: string[] }>({
    strict: false,
    init: () => ({ parts: [] }),
    step: (state, args, call) => {
      const key = jsonKey(args[0] as Datum, argumentOid(call), call.context.types);
      state.parts.push(`${key} : ${jsonOf(args[1] as Datum, argumentOid(call, 1), call.context.types)}`);
    },
    finish: (state) => (state.parts.length === 0 ? null : result(`{ ${state.parts.join(", ")} }`)),
  });
}

const smallSum = integerSum((state) => checkInt8(BigInt(state.sum)));
const identity = (text: string): string => text;

export const aggregateFunctions: BodyTable = {
  "agg:count": count,
  [`agg:sum:${Oid.int2}`]: smallSum,
  [`agg:sum:${Oid.int4}`]: smallSum,
  [`agg:sum:${Oid.int8}`]: integerSum((state) => Numeric.fromInteger(state.sum)),
  [`agg:sum:${Oid.numeric}`]: numericSum((sum) => sum),
  [`agg:sum:${Oid.float4}`]: floatSum(Math.fround),
  [`agg:sum:${Oid.float8}`]: floatSum((value) => value),
  [`agg:sum:${Oid.interval}`]: intervalSum((sum) => sum),
  [`agg:avg:${Oid.int2}`]: integerAverage,
  [`agg:avg:${Oid.int4}`]: integerAverage,
  [`agg:avg:${Oid.int8}`]: integerAverage,
  [`agg:avg:${Oid.numeric}`]: numericSum((sum, rows) => sum.divide(Numeric.fromInteger(rows))),
  [`agg:avg:${Oid.interval}`]: intervalSum((sum, rows) => divideInterval(sum, rows)),
  "agg:min": extreme(-1),
  "agg:max": extreme(1),
  "agg:bool_and": boolean(true),
  "agg:every": boolean(true),
  "agg:bool_or": boolean(false),
  "agg:bit_and": bitwise((a, b) => a & b),
  "agg:bit_or": bitwise((a, b) => a | b),
  "agg:bit_xor": bitwise((a, b) => a ^ b),
  [`agg:string_agg:${Oid.text},${Oid.text}`]: stringAggregate,
  [`agg:string_agg:${Oid.bytea},${Oid.bytea}`]: byteaAggregate,
  "agg:array_agg": arrayAggregate,
  "agg:json_agg": jsonArray(identity),
  "agg:jsonb_agg": jsonArray(canonicalJsonb),
  "agg:json_object_agg": jsonObject(identity),
  "agg:jsonb_object_agg": jsonObject(canonicalJsonb),
};
