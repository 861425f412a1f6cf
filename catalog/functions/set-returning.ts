// generate_series, unnest, generate_subscripts. The rows are made on demand, so a LIMIT above stops them.
import { SqlError, SqlState } from "../../common/error.ts";
import type { SqlArray } from "../../common/types/array.ts";
import { isFiniteTimestamp } from "../../common/types/calendar.ts";
import type { Interval } from "../../common/types/interval.ts";
import { Numeric } from "../../common/types/numeric.ts";
import { fitsInt64, int64Datum } from "../../common/types/scalar.ts";
import { sessionZone } from "../../common/types/time-zone.ts";
import type { Datum } from "../../common/types/type.ts";
import { type BodyTable, setReturning } from "./body.ts";
import type { SetBody } from "./function.ts";
import type { Int8 } from "./integer.ts";
import { addToTimestamp, addToTimestamptz } from "./interval-arithmetic.ts";

function zeroStep(): SqlError {
  return new SqlError(SqlState.invalidParameterValue, "step size cannot equal zero");
}

/** int4, and int8 that stays in 53 bits. */
function* numbers(start: number, stop: number, step: number): Generator<Datum> {
  for (let value = start; step > 0 ? value <= stop : value >= stop; value += step) yield value;
}

function* bigints(start: bigint, stop: bigint, step: bigint): Generator<Datum> {
  for (let value = start; step > 0n ? value <= stop : value >= stop; value += step) {
    if (!fitsInt64(value)) return;
    yield int64Datum(value);
  }
}

function integers(start: Int8, stop: Int8, step: Int8): Iterable<Datum> {
  // Compared loosely: 0 and 0n are both "no step".
  if (Number(step) === 0) throw zeroStep();
  const areSafe = typeof start === "number" && typeof stop === "number" && typeof step === "number";
  if (areSafe && Number.isSafeInteger(stop + step)) return numbers(start, stop, step);
  return bigints(BigInt(start), BigInt(stop), BigInt(step));
}

function* numerics(start: Numeric, stop: Numeric, step: Numeric): Generator<Datum> {
  for (const [value, name] of [
    [start, "start"],
    [stop, "stop"],
    [step, "step size"],
  ] as const) {
    if (value.isFinite) continue;
    const word = name === "step size" ? name : `${name} value`;
    throw new SqlError(
      SqlState.invalidParameterValue,
      `${word} cannot be ${value.isNaN ? "NaN" : "infinity"}`,
    );
  }
  if (step.sign === 0) throw zeroStep();
  for (
    let value = start;
    step.sign > 0 ? value.compare(stop) <= 0 : value.compare(stop) >= 0;
    value = value.add(step)
  ) {
    yield value;
  }
}

function* timestamps(start: Int8, stop: Int8, step: Interval, next: (value: Int8) => Int8): Generator<Datum> {
  const direction = step.span();
  if (direction === 0n) throw zeroStep();
  // An infinite start never gets nearer to the stop.
  for (let value = start; direction > 0n ? value <= stop : value >= stop; value = next(value)) {
    yield value;
    if (!isFiniteTimestamp(value)) return;
  }
}

const integerSeries: SetBody = setReturning((args) =>
  integers(args[0] as Int8, args[1] as Int8, (args[2] ?? 1) as Int8),
);
const numericSeries: SetBody = setReturning((args) =>
  numerics(args[0] as Numeric, args[1] as Numeric, (args[2] ?? Numeric.one) as Numeric),
);

function* subscripts(array: SqlArray, dimension: number, isReverse: boolean): Generator<Datum> {
  const length = array.dimensions[dimension - 1];
  const low = array.lowerBounds[dimension - 1];
  if (length === undefined || low === undefined) return;
  for (let i = 0; i < length; i++) yield isReverse ? low + length - 1 - i : low + i;
}

export const setReturningFunctions: BodyTable = {
  generate_series_int4: integerSeries,
  generate_series_step_int4: integerSeries,
  generate_series_int8: integerSeries,
  generate_series_step_int8: integerSeries,
  generate_series_numeric: numericSeries,
  generate_series_step_numeric: numericSeries,
  generate_series_timestamp: setReturning((args) => {
    const step = args[2] as Interval;
    return timestamps(args[0] as Int8, args[1] as Int8, step, (value) => addToTimestamp(value, step));
  }),
  generate_series_timestamptz: setReturning((args, call) => {
    const step = args[2] as Interval;
    const zone = sessionZone(call.context.types.timeZone);
    return timestamps(args[0] as Int8, args[1] as Int8, step, (value) => addToTimestamptz(value, step, zone));
  }),
  array_unnest: setReturning((args) => (args[0] as SqlArray).elements),
  generate_subscripts_nodir: setReturning((args) =>
    subscripts(args[0] as SqlArray, args[1] as number, false),
  ),
  generate_subscripts: setReturning((args) =>
    subscripts(args[0] as SqlArray, args[1] as number, args[2] as boolean),
  ),
};
