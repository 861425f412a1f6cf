// Values inside utility statements: constants of SET, options of EXPLAIN, COPY and VACUUM (PostgreSQL's defGet* functions).
import { SqlError, SqlState } from "../../common/error.ts";
import { type Node, positionOf } from "../../parser/tree.ts";
import { parseBool } from "../setting-values.ts";

/** The text of a constant or name: 'x', 5, 1.5, true, -3; undefined for anything else. */
export function constantText(node: Node | undefined): string | undefined {
  if (node === undefined) return undefined;
  if ("A_Const" in node) {
    const constant = node.A_Const;
    if (constant.isnull === true) return undefined;
    if (constant.ival !== undefined) return String(constant.ival.ival ?? 0);
    if (constant.fval !== undefined) return constant.fval.fval ?? "0";
    if (constant.boolval !== undefined) return constant.boolval.boolval === true ? "true" : "false";
    if (constant.sval !== undefined) return constant.sval.sval ?? "";
    return undefined;
  }
  if ("String" in node) return node.String.sval ?? "";
  if ("Integer" in node) return String(node.Integer.ival ?? 0);
  if ("Float" in node) return node.Float.fval ?? "0";
  if ("Boolean" in node) return node.Boolean.boolval === true ? "true" : "false";
  if ("TypeName" in node) {
    const last = node.TypeName.names?.at(-1);
    return last !== undefined && "String" in last ? last.String.sval : undefined;
  }
  return undefined;
}

export interface CommandOption {
  readonly name: string;
  readonly arg: Node | undefined;
  readonly position: number;
}

/** The (name value, ...) list of a command. */
export function commandOptions(options: readonly Node[] | undefined): readonly CommandOption[] {
  return (options ?? []).flatMap((option) =>
    "DefElem" in option
      ? [
          {
            name: option.DefElem.defname ?? "",
            arg: option.DefElem.arg,
            position: positionOf(option.DefElem.location),
          },
        ]
      : [],
  );
}

/** A boolean option; without a value it is true. */
export function booleanOption(option: CommandOption): boolean {
  if (option.arg === undefined) return true;
  const value = parseBool(constantText(option.arg) ?? "");
  if (value !== undefined) return value;
  throw new SqlError(SqlState.syntaxError, `${option.name} requires a Boolean value`);
}

export function textOption(option: CommandOption): string {
  const value = constantText(option.arg);
  if (value !== undefined) return value;
  throw new SqlError(SqlState.syntaxError, `${option.name} requires a parameter`);
}

export function unrecognizedOption(command: string, option: CommandOption): SqlError {
  return new SqlError(SqlState.syntaxError, `unrecognized ${command} option "${option.name}"`, {
    position: option.position || undefined,
  });
}
