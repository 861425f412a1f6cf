// The helper functions of information_schema, which its views use and drivers call too (_pg_expandarray is in pgjdbc's
// metadata queries). SQL functions in PostgreSQL; what each computes is in information_schema.sql of its sources.
import { SqlArray } from "../../common/types/array.ts";
import { SqlRecord } from "../../common/types/record.ts";
import type { Datum } from "../../common/types/type.ts";
import { modifierText } from "../deparse/type-name.ts";
import { type BodyEntry, scalar, snapshotOf } from "./body.ts";

const DATE = 1082;
const WITH_PRECISION: ReadonlySet<number> = new Set([1083, 1114, 1184, 1266]);
const INTERVAL = 1186;
const NUMERIC = 1700;
/** Text without a length: PostgreSQL says 2^30. */
const UNBOUNDED_OCTETS = 1_073_741_824;
const UTF8_MAX_OCTETS = 4;
const BINARY_DIGITS: ReadonlyMap<number, number> = new Map([
  [21, 16],
  [23, 32],
  [20, 64],
  [700, 24],
  [701, 53],
]);

/** All of them take (type oid, typmod) and answer NULL where the type has no such property. */
function property(name: string, of: (type: number, typmod: number) => Datum): BodyEntry {
  return scalar(`sql:_pg_${name}:26,23`, ([type, typmod]) => of(Number(type), Number(typmod)));
}

export const informationSchemaBodies: readonly BodyEntry[] = [
  property("char_max_length", charMaxLength),
  property("char_octet_length", (type, typmod) => {
    if (type !== 25 && type !== 1042 && type !== 1043) return null;
    if (typmod === -1) return UNBOUNDED_OCTETS;
    const length = charMaxLength(type, typmod);
    return length === null ? null : length * UTF8_MAX_OCTETS;
  }),
  property("numeric_precision", (type, typmod) => {
    if (type === NUMERIC) return typmod === -1 ? null : ((typmod - 4) >> 16) & 0xffff;
    return BINARY_DIGITS.get(type) ?? null;
  }),
  property("numeric_precision_radix", (type) => (type === NUMERIC ? 10 : BINARY_DIGITS.has(type) ? 2 : null)),
  property("numeric_scale", (type, typmod) => {
    if (type === NUMERIC) return typmod === -1 ? null : (typmod - 4) & 0xffff;
    return type === 21 || type === 23 || type === 20 ? 0 : null;
  }),
  property("datetime_precision", (type, typmod) => {
    if (type === DATE) return 0;
    if (WITH_PRECISION.has(type)) return typmod < 0 ? 6 : typmod;
    if (type !== INTERVAL) return null;
    return typmod < 0 || (typmod & 0xffff) === 0xffff ? 6 : typmod & 0xffff;
  }),
  property("interval_type", (type, typmod) => {
    if (type !== INTERVAL || typmod < 0) return null;
    return (
      modifierText(INTERVAL, typmod)
        .replace(/\(\d+\)/, "")
        .trim()
        .toUpperCase() || null
    );
  }),
  [
    "sql:_pg_expandarray:2277",
    {
      kind: "set",
      *rows([array]) {
        if (!(array instanceof SqlArray)) return;
        // (element, position from 1 whatever the lower bound).
        for (const [i, element] of array.elements.entries()) yield [element, i + 1];
      },
    },
  ],
  scalar("sql:_pg_index_position:26,21", ([oid, attnum], call) => {
    const index = snapshotOf(call).entry("index", Number(oid));
    if (index?.kind !== "index") return null;
    const position = index.columns.findIndex((column) => column.attnum === attnum);
    return position < 0 ? null : position + 1;
  }),
  scalar("sql:_pg_truetypid:75,71", ([attribute, type]) =>
    isDomain(type) ? fieldOf(type, "typbasetype") : fieldOf(attribute, "atttypid"),
  ),
  scalar("sql:_pg_truetypmod:75,71", ([attribute, type]) =>
    isDomain(type) ? fieldOf(type, "typtypmod") : fieldOf(attribute, "atttypmod"),
  ),
];

function charMaxLength(type: number, typmod: number): number | null {
  if (typmod === -1) return null;
  if (type === 1042 || type === 1043) return typmod - 4;
  return type === 1560 || type === 1562 ? typmod : null;
}

function isDomain(type: Datum | undefined): boolean {
  return fieldOf(type, "typtype") === "d";
}

function fieldOf(row: Datum | undefined, name: string): Datum {
  if (!(row instanceof SqlRecord)) return null;
  const position = row.names?.indexOf(name) ?? -1;
  return position < 0 ? null : (row.values[position] ?? null);
}
