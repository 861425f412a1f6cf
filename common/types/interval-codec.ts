// interval as a type: text, binary and storage forms and its modifier.
// Storage: 16 bytes, int64 microseconds, int32 days, int32 months, all little-endian; the engine orders it by total length.
// Binary on the wire: the same fields big-endian.
import { ByteReader, ByteWriter } from "./bytes.ts";
import { MICROS_PER_HOUR, MICROS_PER_MINUTE } from "./calendar.ts";
import { formatInterval } from "./interval-format.ts";
import { type IntervalUnit, parseIntervalText } from "./interval-text.ts";
import { Interval, compareIntervals } from "./interval.ts";
import { Oid } from "./oid.ts";
import { int64Datum } from "./scalar.ts";
import { roundTimestamp } from "./timestamp.ts";
import type { Datum, TypeCodec } from "./type.ts";

/** Field bits of the modifier's upper half (datetime.h). */
const FIELD = {
  month: 1 << 1,
  year: 1 << 2,
  day: 1 << 3,
  hour: 1 << 10,
  minute: 1 << 11,
  second: 1 << 12,
} as const;
const FULL_RANGE = 0x7fff;
const FULL_PRECISION = 0xffff;

/** The unit of a bare number under INTERVAL '5' <fields>: the last of the fields. */
function bareUnitOf(typmod: number): IntervalUnit {
  if (typmod < 0) return "second";
  const range = (typmod >> 16) & FULL_RANGE;
  if (range === FULL_RANGE || (range & FIELD.second) !== 0) return "second";
  if ((range & FIELD.minute) !== 0) return "minute";
  if ((range & FIELD.hour) !== 0) return "hour";
  if ((range & FIELD.day) !== 0) return "day";
  return (range & FIELD.month) !== 0 ? "month" : "year";
}

/** Drops what lies below the last field of the modifier and rounds the fraction of the second. */
export function applyIntervalModifier(value: Interval, typmod: number): Interval {
  if (typmod < 0) return value;
  const range = (typmod >> 16) & FULL_RANGE;
  const precision = typmod & FULL_PRECISION;
  if (range !== FULL_RANGE && (range & FIELD.second) === 0) {
    if ((range & (FIELD.minute | FIELD.hour)) === 0) {
      const months = range === FIELD.year ? Math.trunc(value.months / 12) * 12 : value.months;
      return Interval.of(months, (range & FIELD.day) === 0 ? 0 : value.days, 0);
    }
    const unit = BigInt((range & FIELD.minute) !== 0 ? MICROS_PER_MINUTE : MICROS_PER_HOUR);
    return Interval.of(value.months, value.days, (BigInt(value.microseconds) / unit) * unit);
  }
  if (precision >= 6) return value;
  return Interval.of(value.months, value.days, roundTimestamp(value.microseconds, precision));
}

function receive(bytes: Uint8Array, typmod: number): Datum {
  const reader = new ByteReader(bytes, "interval");
  const micros = int64Datum(reader.int64());
  const days = reader.int32();
  const months = reader.int32();
  reader.end();
  return applyIntervalModifier(new Interval(months, days, micros), typmod);
}

function send(value: Datum): Uint8Array {
  const interval = value as Interval;
  const out = new ByteWriter();
  out.int64(BigInt(interval.microseconds));
  out.int32(interval.days);
  out.int32(interval.months);
  return out.finish();
}

function toStorage(value: Datum): Uint8Array {
  const interval = value as Interval;
  const out = new Uint8Array(16);
  const view = new DataView(out.buffer);
  view.setBigInt64(0, BigInt(interval.microseconds), true);
  view.setInt32(8, interval.days, true);
  view.setInt32(12, interval.months, true);
  return out;
}

function fromStorage(bytes: Uint8Array): Datum {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return new Interval(view.getInt32(12, true), view.getInt32(8, true), int64Datum(view.getBigInt64(0, true)));
}

export const intervalCodec: TypeCodec = {
  oid: Oid.interval,
  name: "interval",
  vectorKind: "boxed",
  storageKind: "bytes",
  keyKind: "interval",
  parse: (text, typmod) => applyIntervalModifier(parseIntervalText(text, bareUnitOf(typmod)), typmod),
  format: (value, context) => formatInterval(value as Interval, context.intervalStyle),
  receive,
  send,
  toStorage,
  fromStorage,
  compare: (a, b) => compareIntervals(a as Interval, b as Interval),
  hashKey: (value) => (value as Interval).span(),
};
