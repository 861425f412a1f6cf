// Arrays, rows, and what reaches into them: ARRAY[...], ROW(...), a[1], a[1:2], (row).field.
import { SqlError, SqlState, notSupported } from "../../common/error.ts";
import { Oid } from "../../common/types/oid.ts";
import type { SqlType } from "../../common/types/type.ts";
import {
  positionOf,
  type A_ArrayExpr,
  type A_Indirection,
  type Node,
  type RowExpr,
} from "../../parser/tree.ts";
import type { BoundExpression, SubscriptExpression } from "../logical/expression.ts";
import { coerce, coerceToCommon, coerceToSpecific, commonType } from "./coerce.ts";
import type { BindContext, Env, RecordField } from "./context.ts";
import { INT4, TEXT, arrayTypeOf, collationOf, elementTypeOf, typeName } from "./types.ts";

/** ARRAY[...]; `target`: the array type of a cast around it, whose elements then convert explicitly. */
export function bindArray(
  context: BindContext,
  node: A_ArrayExpr,
  env: Env,
  target: SqlType | undefined,
): BoundExpression {
  const position = positionOf(node.location);
  const targetElement = target === undefined ? 0 : elementTypeOf(context, target.oid);
  const elements = (node.elements ?? []).map((element) =>
    "A_ArrayExpr" in element
      ? bindArray(context, element.A_ArrayExpr, env, target)
      : context.expression(element, env),
  );
  const isNested = elements.some((e) => elementTypeOf(context, e.type.oid) !== 0);
  if (elements.length === 0 && targetElement === 0) {
    throw new SqlError(SqlState.indeterminateDatatype, "cannot determine type of empty array", {
      hint: "Explicitly cast to the desired type, for example ARRAY[]::integer[].",
      position: position || undefined,
    });
  }
  if (target !== undefined && targetElement !== 0) {
    const wanted = isNested ? target.oid : targetElement;
    const converted = elements.map(
      (e) =>
        coerce(context, e, { oid: wanted, typmod: isNested ? -1 : target.typmod }, "explicit") ??
        failCast(context, e, wanted),
    );
    return arrayOf(context, converted, isNested, target.oid, position);
  }
  const common = commonType(context, elements, "ARRAY");
  const converted = elements.map((e) => coerceToCommon(context, e, common, "ARRAY"));
  const arrayOid = isNested ? common : arrayTypeOf(context, common);
  if (arrayOid === 0) {
    throw new SqlError(
      SqlState.undefinedObject,
      `could not find array type for data type ${typeName(context, common)}`,
      {
        position: position || undefined,
      },
    );
  }
  return arrayOf(context, converted, isNested, arrayOid, position);
}

function failCast(context: BindContext, e: BoundExpression, wanted: number): never {
  throw new SqlError(
    SqlState.cannotCoerce,
    `cannot cast type ${typeName(context, e.type.oid)} to ${typeName(context, wanted)}`,
    { position: e.position || undefined },
  );
}

function arrayOf(
  context: BindContext,
  elements: readonly BoundExpression[],
  isNested: boolean,
  oid: number,
  position: number,
): BoundExpression {
  return {
    kind: "array",
    elements,
    isNested,
    type: { oid, typmod: -1 },
    collation: collationOf(context, oid),
    position,
  };
}

export function bindRow(context: BindContext, node: RowExpr, env: Env): BoundExpression {
  const fields = (node.args ?? []).map((arg) => {
    const field = context.expression(arg, env);
    return field.type.oid === Oid.unknown ? (coerce(context, field, TEXT, "implicit") ?? field) : field;
  });
  return {
    kind: "row",
    fields,
    names: fields.map((_, i) => `f${i + 1}`),
    type: { oid: Oid.record, typmod: -1 },
    collation: 0,
    position: positionOf(node.location),
  };
}

/** x[..].f[..]: applied from left to right. */
export function bindIndirection(context: BindContext, node: A_Indirection, env: Env): BoundExpression {
  let value = context.expression(node.arg as Node, env);
  let subscripts: Node[] = [];
  const flush = (): void => {
    if (subscripts.length > 0) value = bindSubscripts(context, value, subscripts, env);
    subscripts = [];
  };
  for (const step of node.indirection ?? []) {
    if ("A_Indices" in step) {
      subscripts.push(step);
      continue;
    }
    flush();
    if ("String" in step) value = bindField(context, value, step.String.sval ?? "");
    else throw notSupported('row expansion via "*" here', value.position);
  }
  flush();
  return value;
}

export function bindField(context: BindContext, input: BoundExpression, name: string): BoundExpression {
  const fields = fieldsOf(context, input);
  const at = { position: input.position || undefined };
  const fieldIndex = fields?.findIndex((field) => field.name === name) ?? -1;
  const field = fields?.[fieldIndex];
  if (field === undefined) {
    const type = typeName(context, input.type.oid);
    if (input.type.oid === Oid.record) {
      throw new SqlError(
        SqlState.undefinedColumn,
        `could not identify column "${name}" in record data type`,
        at,
      );
    }
    if (fields === undefined) {
      throw new SqlError(
        SqlState.wrongObjectType,
        `column notation .${name} applied to type ${type}, which is not a composite type`,
        at,
      );
    }
    throw new SqlError(SqlState.undefinedColumn, `column "${name}" not found in data type ${type}`, at);
  }
  if (input.kind === "row") return input.fields[fieldIndex] as BoundExpression;
  return {
    kind: "field",
    input,
    fieldIndex,
    name,
    type: field.type,
    collation: collationOf(context, field.type.oid),
    position: input.position,
  };
}

/** Columns of a composite value; undefined = not composite, or a record whose shape is not known. */
export function fieldsOf(context: BindContext, e: BoundExpression): readonly RecordField[] | undefined {
  if (e.kind === "row")
    return e.fields.map((field, i) => ({ name: e.names[i] ?? `f${i + 1}`, type: field.type }));
  const relation = context.catalog.relationByOid(context.typeByOid(e.type.oid)?.relationOid ?? 0);
  if (relation?.kind === "table") return relation.table.columns.filter((column) => !column.isDropped);
  if (relation?.kind === "virtual") return relation.virtual.columns;
  if (e.kind === "column") return context.fieldsOfColumn(e.index);
  if (e.kind !== "call" || e.function.argumentModes === undefined) return undefined;
  const types = e.function.allArgumentTypes ?? [];
  return e.function.argumentModes.flatMap((mode, i) =>
    mode === "i" || mode === "v"
      ? []
      : [{ name: e.function.argumentNames?.[i] ?? "", type: { oid: types[i] as number, typmod: -1 } }],
  );
}

export function bindSubscripts(
  context: BindContext,
  input: BoundExpression,
  nodes: readonly Node[],
  env: Env,
): BoundExpression {
  const isJson = input.type.oid === Oid.jsonb;
  const element = elementTypeOf(context, input.type.oid) || (input.type.oid === Oid.name ? Oid.char : 0);
  if (element === 0 && !isJson) {
    throw new SqlError(
      SqlState.datatypeMismatch,
      `cannot subscript type ${typeName(context, input.type.oid)} because it does not support subscripting`,
      { position: input.position || undefined },
    );
  }
  const bound = (node: Node | undefined): BoundExpression | undefined => {
    if (node === undefined) return undefined;
    const value = context.expression(node, env);
    if (!isJson) return coerceToSpecific(context, value, INT4, "array subscript");
    const isNumber = value.type.oid === Oid.int4 || value.type.oid === Oid.int2;
    return coerce(context, value, isNumber ? INT4 : TEXT, "assignment") ?? value;
  };
  const indices = nodes.flatMap((node) => ("A_Indices" in node ? [node.A_Indices] : []));
  const isSlice = indices.some((item) => item.is_slice === true);
  if (isSlice && isJson) throw notSupported("jsonb subscript slices", input.position);
  const subscripts: SubscriptExpression["subscripts"] = indices.map((item) =>
    item.is_slice === true
      ? { isSlice: true, lower: bound(item.lidx), upper: bound(item.uidx) }
      : { isSlice: false, lower: undefined, upper: bound(item.uidx) },
  );
  const type = isSlice || isJson ? input.type : { oid: element, typmod: input.type.typmod };
  return {
    kind: "subscript",
    input,
    subscripts,
    type,
    collation: collationOf(context, type.oid),
    position: input.position,
  };
}
