// body <@> 'query': the negated BM25 score of any text under an index's statistics, equal to what the index's own search
// gives for the same text. 0 where no term matches; NULL for a NULL text or query.
import { Float64Vector, type Vector } from "../../common/batch/vector.ts";
import type { TextScoreExpression } from "../../planner/logical/expression.ts";
import type { ExecutionContext } from "../context.ts";
import { chain } from "../maybe-promise.ts";
import { slice } from "../batch/gather.ts";
import { textBuffer } from "../storage/column-buffer.ts";
import { type Compile, type Evaluate, evaluateAll } from "./evaluate.ts";

export function compileTextScore(expression: TextScoreExpression, compile: Compile): Evaluate {
  const sides = [compile(expression.text), compile(expression.query)];
  return (batch, context) =>
    chain(evaluateAll(sides, batch, context), (vectors) => {
      const [texts, queries] = vectors as [Vector, Vector];
      const scores = new Float64Array(batch.rowCount);
      const nulls = new Uint8Array(batch.rowCount);
      if (queries.kind === "constant") {
        score(expression.indexStorageId, texts, queries.value as string | null, scores, nulls, context);
      } else {
        for (let row = 0; row < batch.rowCount; row++) {
          const query = queries.get(row) as string | null;
          const at = [row, row + 1] as const;
          score(
            expression.indexStorageId,
            slice(texts, ...at),
            query,
            scores.subarray(...at),
            nulls.subarray(...at),
            context,
          );
        }
      }
      return new Float64Vector(scores, nulls.includes(1) ? nulls : undefined, batch.rowCount);
    });
}

/** Fills `scores` and `nulls` for all texts. */
function score(
  indexStorageId: number,
  texts: Vector,
  query: string | null,
  scores: Float64Array,
  nulls: Uint8Array,
  context: ExecutionContext,
): void {
  const count = scores.length;
  if (count === 0) return;
  if (query === null) {
    nulls.fill(1);
    return;
  }
  const captured = context.textQuery(indexStorageId, query);
  context.transaction.textScore(captured, textBuffer(texts, count), count, scores);
  for (let i = 0; i < count; i++) {
    if (texts.isNull(i)) nulls[i] = 1;
    // 0 stays 0: -0 would print as "-0".
    else scores[i] = 0 - (scores[i] as number);
  }
}
