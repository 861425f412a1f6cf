// libpg-query 18 has PostgreSQL 18's grammar, the reference is 15. What 16, 17 and 18 added is refused here as a syntax error,
// so that a client finds the same dialect. Only the syntax is judged; features of 15 we lack are the binder's 0A000.
import { SqlError, SqlState } from "../common/error.ts";
import { positionOf } from "./tree.ts";

/** Node types that PostgreSQL 15 has not, with the word its parser would stumble over. */
const NEW_NODES: ReadonlyMap<string, string> = new Map([
  ["JsonTable", "JSON_TABLE"],
  ["JsonFuncExpr", "JSON_QUERY"],
  ["JsonParseExpr", "JSON"],
  ["JsonScalarExpr", "JSON_SCALAR"],
  ["JsonSerializeExpr", "JSON_SERIALIZE"],
  ["JsonIsPredicate", "JSON"],
  ["JsonObjectConstructor", "JSON_OBJECT"],
  ["JsonArrayConstructor", "JSON_ARRAY"],
  ["JsonArrayQueryConstructor", "JSON_ARRAY"],
  ["JsonObjectAgg", "JSON_OBJECTAGG"],
  ["JsonArrayAgg", "JSON_ARRAYAGG"],
  ["ReturningOption", "WITH"],
  ["MergeSupportFunc", "MERGE_ACTION"],
]);

/** Throws 42601 where the tree holds syntax newer than PostgreSQL 15. */
export function denyNewSyntax(tree: unknown, text: string): void {
  // The words decide whether a walk is worth it: nearly no statement contains one.
  if (!/json|returning|merge|any_value|system_user|virtual/i.test(text)) return;
  visit(tree);
}

function visit(value: unknown): void {
  if (Array.isArray(value)) {
    for (const item of value) visit(item);
    return;
  }
  if (typeof value !== "object" || value === null) return;
  const object = value as Record<string, unknown>;
  for (const key in object) {
    const field = object[key];
    const word = NEW_NODES.get(key);
    if (word !== undefined) throw newSyntax(word, field);
    if (key === "MergeStmt" && hasField(field, "returningClause")) throw newSyntax("RETURNING", field);
    if (
      key === "SQLValueFunction" &&
      hasField(field, "op") &&
      (field as { op: string }).op === "SVFOP_SYSTEM_USER"
    ) {
      throw newSyntax("SYSTEM_USER", field);
    }
    visit(field);
  }
}

function hasField(value: unknown, name: string): boolean {
  return typeof value === "object" && value !== null && name in value;
}

function newSyntax(word: string, node: unknown): SqlError {
  const location = hasField(node, "location") ? (node as { location: number }).location : -1;
  return new SqlError(SqlState.syntaxError, `syntax error at or near "${word}"`, {
    position: positionOf(location) || undefined,
  });
}
