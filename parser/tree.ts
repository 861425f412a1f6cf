// The parse tree: PostgreSQL's own node types, as @pgsql/types describes them, plus the few helpers that everybody who
// walks it needs. There is one tree; no second AST is built from it. A node is an object with one key, its type:
// { ColumnRef: {...} }. Fields with a zero value are absent (protobuf's JSON form): `location` 0 included.
import type { Node } from "@pgsql/types";

export type {
  A_ArrayExpr,
  A_Const,
  A_Expr,
  A_Indirection,
  Alias,
  AlterTableCmd,
  AlterTableStmt,
  BoolExpr,
  CaseExpr,
  ColumnDef,
  ColumnRef,
  CommentStmt,
  CommonTableExpr,
  Constraint,
  CreateExtensionStmt,
  CreateSchemaStmt,
  CreateSeqStmt,
  CreateStmt,
  DefElem,
  DeleteStmt,
  DropStmt,
  FuncCall,
  IndexElem,
  IndexStmt,
  InsertStmt,
  JoinExpr,
  Node,
  OnConflictClause,
  RangeFunction,
  RangeSubselect,
  RangeVar,
  ReindexStmt,
  RenameStmt,
  ResTarget,
  RowExpr,
  SelectStmt,
  SortBy,
  SubLink,
  TruncateStmt,
  TypeCast,
  TypeName,
  UpdateStmt,
  WithClause,
} from "@pgsql/types";

/** One statement of a query string. */
export interface RawStatement {
  readonly node: Node;
  /** The statement's own text, without the semicolon. */
  readonly text: string;
  /** 0-based character (not UTF-16 unit) offset of `text` in the whole query string. */
  readonly location: number;
  /** Characters. */
  readonly length: number;
}

/** The node's type: "SelectStmt". */
export function nodeKind(node: Node): string {
  for (const key in node) return key;
  return "";
}

/** 1-based character position for an ErrorResponse; 0 = the grammar gave none. */
export function positionOf(location: number | undefined): number {
  const offset = location ?? 0;
  return offset < 0 ? 0 : offset + 1;
}

/** Texts of a list of String nodes, such as a qualified name. */
export function stringsOf(nodes: readonly Node[] | undefined): string[] {
  const strings: string[] = [];
  for (const node of nodes ?? []) {
    if ("String" in node) strings.push(node.String.sval ?? "");
  }
  return strings;
}

/** The items of a List node; of anything else none. */
export function listItems(node: Node | undefined): readonly Node[] {
  return node !== undefined && "List" in node ? (node.List.items ?? []) : [];
}

/** Position of an expression's first sign, as PostgreSQL's exprLocation gives it; 0 = unknown. */
export function expressionPosition(node: Node | undefined): number {
  if (node === undefined) return 0;
  if ("A_Expr" in node) {
    const own = positionOf(node.A_Expr.location);
    return leftmost(own, expressionPosition(node.A_Expr.lexpr));
  }
  if ("TypeCast" in node) {
    const cast = node.TypeCast;
    return leftmost(
      expressionPosition(cast.arg),
      leftmost(positionOf(cast.location), positionOf(cast.typeName?.location)),
    );
  }
  if ("A_Indirection" in node) return expressionPosition(node.A_Indirection.arg);
  if ("NullTest" in node)
    return leftmost(positionOf(node.NullTest.location), expressionPosition(node.NullTest.arg));
  if ("BooleanTest" in node) {
    return leftmost(positionOf(node.BooleanTest.location), expressionPosition(node.BooleanTest.arg));
  }
  if ("BoolExpr" in node)
    return leftmost(positionOf(node.BoolExpr.location), expressionPosition(node.BoolExpr.args?.[0]));
  if ("CollateClause" in node) return expressionPosition(node.CollateClause.arg);
  if ("SubLink" in node)
    return leftmost(positionOf(node.SubLink.location), expressionPosition(node.SubLink.testexpr));
  if ("FuncCall" in node) {
    // `x AT TIME ZONE y` and the like start at their first argument, not at the keyword.
    const own = positionOf(node.FuncCall.location);
    return (node.FuncCall.args ?? []).reduce((left, arg) => leftmost(left, expressionPosition(arg)), own);
  }
  if ("List" in node) return expressionPosition(node.List.items?.[0]);
  const inner: { readonly location?: number } | undefined = Object.values(node)[0];
  return positionOf(inner?.location);
}

function leftmost(a: number, b: number): number {
  if (a === 0) return b;
  if (b === 0) return a;
  return Math.min(a, b);
}
