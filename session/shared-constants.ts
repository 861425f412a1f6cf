// Simple queries that differ in constants only share a tree and a plan: the parser's lexer takes the literals out, and they
// come back as parameters. Whatever goes wrong on this way (a type that cannot be inferred, a literal that does not parse)
// makes the caller run the text as it stands, so that errors keep PostgreSQL's texts and positions.
import { SqlError } from "../common/error.ts";
import { must } from "../common/assert.ts";
import type { Datum } from "../common/types/type.ts";
import { literalTypes, normalize } from "../parser/normalize.ts";
import { parse } from "../parser/parse.ts";
import { valueCodec } from "./value-codec.ts";
import type { SessionCore } from "./core.ts";
import type { PreparedStatement } from "./prepared-statement.ts";
import { prepare } from "./statement-runner.ts";

export interface SharedStatement {
  readonly prepared: PreparedStatement;
  readonly parameters: readonly Datum[];
}

/** undefined = run the exact text. */
export function shareConstants(core: SessionCore, sql: string): SharedStatement | undefined {
  if (core.transactions.isFailed) return undefined;
  const normalized = normalize(sql);
  if (normalized === undefined) return undefined;
  const { key, literals } = normalized;
  try {
    const prepared = prepare(core, "", must(parse(key)[0], "a statement"), literalTypes(literals), false);
    const { types } = core;
    const parameters = prepared.parameterTypes.map((oid, index) =>
      valueCodec(oid).parse(must(literals[index], "a literal per parameter").text, -1, types),
    );
    return { prepared, parameters };
  } catch (error) {
    if (error instanceof SqlError) return undefined;
    throw error;
  }
}
