// Figures at a wanted recall from points of a curve over ef: systems are compared where they answer equally well, not where
// a parameter has the same number.

export interface CurvePoint {
  readonly ef: number;
  readonly recall: number;
  /** Any figures that grow with ef; all points have the same ones. */
  readonly figures: Readonly<Record<string, number>>;
}

export interface AtRecall {
  readonly recall: number;
  readonly ef: number;
  readonly figures: Readonly<Record<string, number>>;
}

/** Recall 1 has no logarithm: this far from it counts as 1. */
const LEAST_ERROR = 1e-4;

/**
 * Interpolates between the two points around the wanted recall: logarithms of ef and of the figures over the logarithm of
 * the error, which is nearly straight for graph searches. The cheapest point when all reach the recall; undefined when
 * none does.
 */
export function atRecall(points: readonly CurvePoint[], recall: number): AtRecall | undefined {
  const sorted = points.toSorted((a, b) => a.ef - b.ef);
  const above = sorted.findIndex((point) => point.recall >= recall);
  const high = sorted[above];
  if (high === undefined) return undefined;
  const low = sorted[above - 1];
  if (low === undefined) return high;
  const error = (value: number): number => Math.log(Math.max(1 - value, LEAST_ERROR));
  const share = (error(recall) - error(low.recall)) / (error(high.recall) - error(low.recall));
  const between = (a: number, b: number): number => Math.exp(Math.log(a) + share * Math.log(b / a));
  return {
    recall,
    ef: Math.round(between(low.ef, high.ef)),
    figures: Object.fromEntries(
      Object.entries(high.figures).map(([name, value]) => [
        name,
        between(low.figures[name] ?? Number.NaN, value),
      ]),
    ),
  };
}
