// `body <@> 'query'`: BM25 score, bound at plan time to an index, because the score needs an index's statistics and text
// analysis wherever the operator stands, whatever the plan's shape. The index is the column's only one, or the one that
// `body <@> to_bm25query('query', 'index')` names; a named one scores any text, so it need not be a column there.
import type { IndexEntry } from "../../catalog/entries.ts";
import { parseName } from "../../catalog/deparse/identifier.ts";
import { notSupported, SqlError, SqlState } from "../../common/error.ts";
import { Oid } from "../../common/types/oid.ts";
import type { BoundExpression, CallExpression, TextScoreExpression } from "../logical/expression.ts";
import type { BindContext, ColumnOrigin } from "./context.ts";
import { typeName } from "./types.ts";

const OPERATOR = "<@>";
const HINT = "Name the index: to_bm25query(query, 'index').";

export function isTextScore(call: CallExpression): boolean {
  return call.operator === OPERATOR && call.args.length === 2;
}

/**
 * The score expression. 42704 when the column has no bm25 index or there is none of the name, 42725 when it has several,
 * 42809 when the named index is of another method or column.
 */
export function bindTextScore(context: BindContext, call: CallExpression): TextScoreExpression {
  const [text, operand] = call.args as [BoundExpression, BoundExpression];
  const position = call.position || undefined;
  const { query, name } = textQuery(operand);
  const column = unwrap(text);
  const origin = column.kind === "column" ? context.originOf(column.index) : undefined;
  const columnName = column.kind === "column" ? (column.name.split(".").at(-1) ?? column.name) : "";
  if (name === undefined && origin === undefined) {
    throw new SqlError(
      SqlState.undefinedObject,
      `operator ${OPERATOR} needs a column with a bm25 index on its left side, not an expression of type ${typeName(context, text.type.oid)}`,
      { hint: HINT, position },
    );
  }
  const index =
    name === undefined
      ? onlyIndex(context, origin as ColumnOrigin, columnName, position)
      : namedIndex(context, name, position);
  if (origin !== undefined && !covers(index, origin)) {
    throw new SqlError(
      SqlState.wrongObjectType,
      `index "${index.name}" is not an index of column "${columnName}"`,
      { position },
    );
  }
  context.dependOn(index, 0);
  return {
    kind: "text-score",
    text,
    query,
    indexStorageId: index.storageId,
    indexOid: index.oid,
    indexName: index.name,
    namesIndex: name !== undefined,
    type: call.type,
    collation: 0,
    position: call.position,
  };
}

interface TextQuery {
  readonly query: BoundExpression;
  /** The index as written, perhaps with its schema. */
  readonly name: string | undefined;
}

/** The right side taken apart. The index decides what is planned, so its name has to stand in the statement. */
function textQuery(e: BoundExpression): TextQuery {
  if (e.type.oid !== Oid.bm25query) return { query: e, name: undefined };
  const [query, index] = e.kind === "call" && e.function.name === "to_bm25query" ? e.args : [];
  if (query === undefined)
    throw notSupported(`${OPERATOR} with a bm25query other than to_bm25query(...)`, e.position);
  if (index === undefined) return { query, name: undefined };
  if (index.kind !== "constant" || typeof index.value !== "string")
    throw notSupported("to_bm25query with an index name that is not a constant", index.position);
  return { query, name: index.value };
}

function onlyIndex(
  context: BindContext,
  origin: ColumnOrigin,
  columnName: string,
  position: number | undefined,
): IndexEntry {
  const indexes = context.catalog
    .indexesOf(origin.tableOid)
    .filter((index) => index.method === "bm25" && covers(index, origin));
  const index = indexes[0];
  if (index === undefined) {
    throw new SqlError(SqlState.undefinedObject, `column "${columnName}" has no bm25 index`, {
      hint: `Create one: CREATE INDEX ON ... USING bm25 (${columnName}) WITH (text_config = 'english').`,
      position,
    });
  }
  if (indexes.length > 1) {
    throw new SqlError(SqlState.ambiguousFunction, `column "${columnName}" has several bm25 indexes`, {
      detail: `Candidates: ${indexes.map((candidate) => candidate.name).join(", ")}.`,
      hint: HINT,
      position,
    });
  }
  return index;
}

function namedIndex(context: BindContext, written: string, position: number | undefined): IndexEntry {
  const parts = parseName(written) ?? [];
  const name = parts.at(-1);
  const found =
    name === undefined || parts.length > 2
      ? undefined
      : context.catalog.relation(parts.length === 2 ? parts[0] : undefined, name, context.searchPath);
  if (found === undefined)
    throw new SqlError(SqlState.undefinedObject, `index "${written}" does not exist`, { position });
  if (found.kind !== "index")
    throw new SqlError(SqlState.wrongObjectType, `"${name}" is not an index`, { position });
  if (found.index.method !== "bm25")
    throw new SqlError(SqlState.wrongObjectType, `index "${name}" is not a bm25 index`, { position });
  return found.index;
}

function covers(index: IndexEntry, origin: ColumnOrigin): boolean {
  return index.tableOid === origin.tableOid && index.columns.some((item) => item.attnum === origin.attnum);
}

/** varchar columns arrive as text through a relabel. */
function unwrap(e: BoundExpression): BoundExpression {
  return e.kind === "relabel" ? unwrap(e.input) : e;
}
