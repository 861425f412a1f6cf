// avg of floats, the variance and regression families. Floats follow PostgreSQL's Youngs-Cramer recurrences (float.c), so
// that the digits agree; integers and numeric are exact sums with numeric results.
import { Numeric } from "../../common/types/numeric.ts";
import { sqrtToScale } from "../../common/types/numeric-math.ts";
import { Oid } from "../../common/types/oid.ts";
import type { Datum } from "../../common/types/type.ts";
import { aggregate } from "./aggregates.ts";
import type { BodyTable } from "./body.ts";
import { floatOverflow } from "./float.ts";
import type { AggregateBody, FunctionBody } from "./function.ts";

/** Count, sum and sum of squared deviations. */
interface FloatMoments {
  n: number;
  sx: number;
  sxx: number;
}

function floatMoments(finish: (state: FloatMoments) => Datum): AggregateBody {
  return aggregate<FloatMoments>({
    strict: true,
    init: () => ({ n: 0, sx: 0, sxx: 0 }),
    step: (state, args) => {
      const value = args[0] as number;
      const previousSum = state.sx;
      state.n += 1;
      state.sx += value;
      if (state.n > 1) {
        const deviation = value * state.n - state.sx;
        state.sxx += (deviation * deviation) / (state.n * (state.n - 1));
        if (!Number.isFinite(state.sx) || !Number.isFinite(state.sxx)) {
          if (Number.isFinite(previousSum) && Number.isFinite(value)) throw floatOverflow();
          state.sxx = Number.NaN;
        }
      } else if (!Number.isFinite(value)) state.sxx = Number.NaN;
    },
    finish,
  });
}

/** Exact sums of x and x squared. */
interface NumericMoments {
  n: number;
  sum: Numeric;
  squares: Numeric;
}

function numericMoments(isSample: boolean, isDeviation: boolean): AggregateBody {
  return aggregate<NumericMoments>({
    strict: true,
    init: () => ({ n: 0, sum: Numeric.zero, squares: Numeric.zero }),
    step: (state, args) => {
      const value = args[0] instanceof Numeric ? args[0] : Numeric.fromInteger(args[0] as number | bigint);
      state.n += 1;
      state.sum = state.sum.add(value);
      state.squares = state.squares.add(value.multiply(value));
    },
    finish: ({ n, sum, squares }) => {
      if (n === 0 || (isSample && n === 1)) return null;
      if (!sum.isFinite || !squares.isFinite) return Numeric.nan;
      const count = Numeric.fromInteger(n);
      const numerator = count.multiply(squares).subtract(sum.multiply(sum));
      if (numerator.sign <= 0) return Numeric.zero;
      const variance = numerator.divide(count.multiply(Numeric.fromInteger(isSample ? n - 1 : n)));
      return isDeviation ? sqrtToScale(variance, variance.scale) : variance;
    },
  });
}

const variancePopulation = (state: FloatMoments): number | null =>
  state.n === 0 ? null : state.sxx / state.n;
const varianceSample = (state: FloatMoments): number | null =>
  state.n <= 1 ? null : state.sxx / (state.n - 1);
const root = (value: number | null): number | null => (value === null ? null : Math.sqrt(value));

/** Sums over pairs (Y, X): the first argument is the dependent variable. */
interface Regression {
  n: number;
  sx: number;
  sxx: number;
  sy: number;
  syy: number;
  sxy: number;
}

function regression(finish: (state: Regression) => Datum): AggregateBody {
  return aggregate<Regression>({
    strict: true,
    init: () => ({ n: 0, sx: 0, sxx: 0, sy: 0, syy: 0, sxy: 0 }),
    step: (state, args) => {
      const [y, x] = args as readonly [number, number];
      const before = state.n;
      state.n += 1;
      state.sx += x;
      state.sy += y;
      if (before > 0) {
        const dx = x * state.n - state.sx;
        const dy = y * state.n - state.sy;
        const scale = 1 / (state.n * before);
        state.sxx += dx * dx * scale;
        state.syy += dy * dy * scale;
        state.sxy += dx * dy * scale;
      } else {
        if (!Number.isFinite(x)) state.sxx = state.sxy = Number.NaN;
        if (!Number.isFinite(y)) state.syy = state.sxy = Number.NaN;
      }
    },
    finish,
  });
}

const some =
  (fn: (s: Regression) => Datum) =>
  (s: Regression): Datum =>
    s.n < 1 ? null : fn(s);

function perType(name: string, isSample: boolean, isDeviation: boolean): Record<string, FunctionBody> {
  const moments = isSample ? varianceSample : variancePopulation;
  const float = floatMoments((state) => (isDeviation ? root(moments(state)) : moments(state)));
  const numeric = numericMoments(isSample, isDeviation);
  return {
    [`agg:${name}:${Oid.float4}`]: float,
    [`agg:${name}:${Oid.float8}`]: float,
    [`agg:${name}:${Oid.int2}`]: numeric,
    [`agg:${name}:${Oid.int4}`]: numeric,
    [`agg:${name}:${Oid.int8}`]: numeric,
    [`agg:${name}:${Oid.numeric}`]: numeric,
  };
}

const floatAverage = floatMoments((state) => (state.n === 0 ? null : state.sx / state.n));

export const statisticsFunctions: BodyTable = {
  [`agg:avg:${Oid.float4}`]: floatAverage,
  [`agg:avg:${Oid.float8}`]: floatAverage,
  ...perType("variance", true, false),
  ...perType("var_samp", true, false),
  ...perType("var_pop", false, false),
  ...perType("stddev", true, true),
  ...perType("stddev_samp", true, true),
  ...perType("stddev_pop", false, true),
  "agg:covar_pop": regression(some((s) => s.sxy / s.n)),
  "agg:covar_samp": regression((s) => (s.n < 2 ? null : s.sxy / (s.n - 1))),
  "agg:corr": regression((s) =>
    s.n < 1 || s.sxx === 0 || s.syy === 0 ? null : s.sxy / Math.sqrt(s.sxx * s.syy),
  ),
  "agg:regr_count": regression((s) => s.n),
  "agg:regr_sxx": regression(some((s) => s.sxx)),
  "agg:regr_syy": regression(some((s) => s.syy)),
  "agg:regr_sxy": regression(some((s) => s.sxy)),
  "agg:regr_avgx": regression(some((s) => s.sx / s.n)),
  "agg:regr_avgy": regression(some((s) => s.sy / s.n)),
  "agg:regr_slope": regression((s) => (s.n < 1 || s.sxx === 0 ? null : s.sxy / s.sxx)),
  "agg:regr_intercept": regression((s) =>
    s.n < 1 || s.sxx === 0 ? null : (s.sy - (s.sx * s.sxy) / s.sxx) / s.n,
  ),
  "agg:regr_r2": regression((s) => {
    if (s.n < 1 || s.sxx === 0) return null;
    return s.syy === 0 ? 1 : (s.sxy * s.sxy) / (s.sxx * s.syy);
  }),
};
