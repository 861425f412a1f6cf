// The reg* types: oids that read and print as names. The names come from TypeContext.names (the catalogue); without
// one they are numbers, and "-" is 0.
import { SqlError, SqlState } from "../error.ts";
import { oidCodec, parseUnsigned } from "./int.ts";
import { Oid } from "./oid.ts";
import type { RegKind, TypeCodec } from "./type.ts";

const KINDS: readonly (readonly [number, RegKind])[] = [
  [Oid.regclass, "regclass"],
  [Oid.regtype, "regtype"],
  [Oid.regproc, "regproc"],
  [Oid.regprocedure, "regprocedure"],
  [Oid.regnamespace, "regnamespace"],
  [Oid.regoper, "regoper"],
  [Oid.regoperator, "regoperator"],
  [Oid.regrole, "regrole"],
  [Oid.regconfig, "regconfig"],
  [Oid.regdictionary, "regdictionary"],
  [Oid.regcollation, "regcollation"],
];

export const REG_CODECS: readonly TypeCodec[] = KINDS.map(([oid, kind]) => ({
  ...oidCodec,
  oid,
  name: kind,
  parse: (text, _typmod, context) => {
    if (text === "-") return 0;
    if (/^\d+$/.test(text)) return parseUnsigned(text, "oid");
    if (context.names === undefined) {
      throw new SqlError(SqlState.featureNotSupported, `${kind} values by name are not supported here`);
    }
    return context.names.parse(kind, text);
  },
  format: (value, context) => {
    // regoper and regoperator print 0 as a number, the others as "-".
    if (value === 0) return kind === "regoper" || kind === "regoperator" ? "0" : "-";
    return context.names === undefined ? `${value as number}` : context.names.format(kind, value as number);
  },
}));
