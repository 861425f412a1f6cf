// Calls whose answers differ from PostgreSQL on purpose, each with its reason. Used by the tests alone.
export const KNOWN_DIFFERENCES: readonly RegExp[] = [
  // A "char" above 0x7f has no UTF-8 text; ours prints as \ooo.
  /^char_(?:bpchar|text)\(\\301\)/,
  // PostgreSQL 15 computes with the infinity's bit pattern; later versions refuse as we do.
  /^timestamp(?:tz)?_age\(.*infinity/,
  // PostgreSQL 15 wraps around silently.
  /^make_interval\(/,
  // char(2147483647) cannot be written; PostgreSQL makes two gigabytes of blanks of it.
  /^bpchar\(.*\| 2147483647/,
];
