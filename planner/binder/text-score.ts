// `body <@> 'query'`: BM25 score, bound at plan time to an index, because the score needs an index's statistics and text
// analysis wherever the operator stands, whatever the plan's shape.
import { SqlError, SqlState } from "../../common/error.ts";
import type { BoundExpression, CallExpression, TextScoreExpression } from "../logical/expression.ts";
import type { BindContext } from "./context.ts";
import { typeName } from "./types.ts";

const OPERATOR = "<@>";

export function isTextScore(call: CallExpression): boolean {
  return call.operator === OPERATOR && call.args.length === 2;
}

/**
 * The score expression. 42704 when the column has no bm25 index, 42725 when it has several.
 */
export function bindTextScore(context: BindContext, call: CallExpression): TextScoreExpression {
  const [text, query] = call.args as [BoundExpression, BoundExpression];
  const column = unwrap(text);
  const origin = column.kind === "column" ? context.originOf(column.index) : undefined;
  if (origin === undefined) {
    throw new SqlError(
      SqlState.undefinedObject,
      `operator ${OPERATOR} needs a column with a bm25 index on its left side, not an expression of type ${typeName(context, text.type.oid)}`,
      { hint: HINT, position: call.position || undefined },
    );
  }
  const indexes = context.catalog
    .indexesOf(origin.tableOid)
    .filter(
      (index) => index.method === "bm25" && index.columns.some((item) => item.attnum === origin.attnum),
    );
  const index = indexes[0];
  const name = column.kind === "column" ? (column.name.split(".").at(-1) ?? column.name) : "";
  if (index === undefined) {
    throw new SqlError(SqlState.undefinedObject, `column "${name}" has no bm25 index`, {
      hint: `Create one: CREATE INDEX ON ... USING bm25 (${name}) WITH (text_config = 'english').`,
      position: call.position || undefined,
    });
  }
  if (indexes.length > 1) {
    throw new SqlError(SqlState.ambiguousFunction, `column "${name}" has several bm25 indexes`, {
      detail: `Candidates: ${indexes.map((candidate) => candidate.name).join(", ")}.`,
      hint: HINT,
      position: call.position || undefined,
    });
  }
  context.dependOn(index, 0);
  return {
    kind: "text-score",
    text,
    query,
    indexStorageId: index.storageId,
    indexOid: index.oid,
    indexName: index.name,
    type: call.type,
    collation: 0,
    position: call.position,
  };
}

const HINT = "Name the index: to_bm25query(query, 'index').";

/** varchar columns arrive as text through a relabel. */
function unwrap(e: BoundExpression): BoundExpression {
  return e.kind === "relabel" ? unwrap(e.input) : e;
}
