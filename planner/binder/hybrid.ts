// hybrid_rrf(branch, branch, ..., weights => , k => , candidates => ): rank fusion. Each branch is an ordering expression (a
// distance or a text score); the optimizer turns ORDER BY hybrid_rrf(...) LIMIT n into one HybridRRF node.
import { SqlError, SqlState } from "../../common/error.ts";
import { Oid } from "../../common/types/oid.ts";
import type { BoundExpression } from "../logical/expression.ts";
import { coerce } from "./coerce.ts";
import type { BindContext } from "./context.ts";
import type { Argument } from "./overload.ts";
import { FLOAT8, INT4, typeName } from "./types.ts";

/** Fewer would be no fusion; the upper limit keeps rank tables of one query small. */
const MIN_BRANCHES = 2;
const MAX_BRANCHES = 8;

const FLOAT8_ARRAY = { oid: 1022, typmod: -1 } as const;

/** Throws 42883 for unknown argument names, 42804 for branches that are not distances or scores. */
export function bindHybrid(
  context: BindContext,
  args: readonly Argument[],
  position: number,
): BoundExpression {
  const branches = args.filter((arg) => arg.name === undefined).map((arg) => bindBranch(context, arg.value));
  if (branches.length < MIN_BRANCHES || branches.length > MAX_BRANCHES) {
    throw new SqlError(
      SqlState.undefinedFunction,
      `hybrid_rrf takes ${MIN_BRANCHES} to ${MAX_BRANCHES} branches, not ${branches.length}`,
      {
        hint: "hybrid_rrf(body <@> 'words', embedding <=> '[...]', weights => '{1,1}', k => 60, candidates => 100)",
        position,
      },
    );
  }
  const options = new Map<string, BoundExpression>();
  for (const arg of args) {
    if (arg.name === undefined) continue;
    if (!["weights", "k", "candidates"].includes(arg.name)) {
      throw new SqlError(SqlState.undefinedFunction, `hybrid_rrf has no argument "${arg.name}"`, {
        hint: "Its named arguments are weights, k and candidates.",
        position,
      });
    }
    options.set(arg.name, arg.value);
  }
  const option = (
    name: string,
    type: { readonly oid: number; readonly typmod: number },
  ): BoundExpression | undefined => {
    const value = options.get(name);
    if (value === undefined) return undefined;
    const converted = coerce(context, value, type, "implicit");
    if (converted !== undefined) return converted;
    throw new SqlError(
      SqlState.datatypeMismatch,
      `argument "${name}" of hybrid_rrf must be type ${typeName(context, type.oid)}, not type ${typeName(context, value.type.oid)}`,
      { position: value.position || undefined },
    );
  };
  return {
    kind: "hybrid-rrf",
    branches,
    weights: option("weights", FLOAT8_ARRAY),
    k: option("k", INT4),
    candidates: option("candidates", INT4),
    type: FLOAT8,
    collation: 0,
    position,
  };
}

function bindBranch(context: BindContext, e: BoundExpression): BoundExpression {
  const isOrdering = e.kind === "text-score" || (e.kind === "call" && e.type.oid === Oid.float8);
  if (isOrdering) return e;
  throw new SqlError(
    SqlState.datatypeMismatch,
    `a branch of hybrid_rrf must be a distance or a text score, not an expression of type ${typeName(context, e.type.oid)}`,
    { position: e.position || undefined },
  );
}
