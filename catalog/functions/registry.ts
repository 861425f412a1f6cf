// All function bodies by key. The key is FunctionEntry.source:
//   internal functions   pg_proc.prosrc, PostgreSQL's internal name ("int4pl")
//   aggregates           "agg:name:argument oids"; "agg:name" alone serves every overload that has no key of its own
//   functions in SQL     "sql:name:argument oids"
// Functions that read the catalogue (pg_get_indexdef, format_type ...) are in catalog/system-functions.
import { aggregateFunctions } from "./aggregates.ts";
import { arrayFunctions } from "./array.ts";
import type { BodyTable } from "./body.ts";
import { bitFunctions } from "./bit.ts";
import { byteaFunctions } from "./bytea.ts";
import { comparisonFunctions } from "./comparison.ts";
import { datePartFunctions } from "./date-part.ts";
import { dateTimeFunctions } from "./date-time.ts";
import { floatFunctions } from "./float.ts";
import type { FunctionBody } from "./function.ts";
import { integerFunctions } from "./integer.ts";
import { jsonBuildFunctions } from "./json-build.ts";
import { jsonFunctions } from "./json.ts";
import { jsonbEditFunctions } from "./jsonb-edit.ts";
import { likeFunctions } from "./like.ts";
import { numericFunctions } from "./numeric.ts";
import { regexFunctions } from "./regex.ts";
import { setReturningFunctions } from "./set-returning.ts";
import { sparsevecFunctions } from "./sparsevec.ts";
import { statisticsFunctions } from "./statistics.ts";
import { systemFunctions } from "./system.ts";
import { textFunctions } from "./text.ts";
import { toCharDateFunctions } from "./to-char-date.ts";
import { toCharNumberFunctions } from "./to-char-number.ts";
import { typeTextFunctions } from "./type-text.ts";
import { vectorFunctions } from "./vector.ts";
import { vectorDistances } from "./vector-distance.ts";

const TABLES: readonly BodyTable[] = [
  comparisonFunctions,
  integerFunctions,
  floatFunctions,
  numericFunctions,
  textFunctions,
  byteaFunctions,
  bitFunctions,
  likeFunctions,
  regexFunctions,
  dateTimeFunctions,
  datePartFunctions,
  toCharDateFunctions,
  toCharNumberFunctions,
  arrayFunctions,
  jsonFunctions,
  jsonbEditFunctions,
  jsonBuildFunctions,
  setReturningFunctions,
  aggregateFunctions,
  statisticsFunctions,
  vectorFunctions,
  vectorDistances,
  sparsevecFunctions,
  typeTextFunctions,
  systemFunctions,
];

const bodies = new Map<string, FunctionBody>(TABLES.flatMap((table) => Object.entries(table)));

/** undefined = no body here: the function takes part in overload resolution, and calling it is 0A000. */
export function functionBody(source: string): FunctionBody | undefined {
  const body = bodies.get(source);
  if (body !== undefined || !source.startsWith("agg:")) return body;
  return bodies.get(source.slice(0, source.indexOf(":", 4)));
}

/** Every key that has a body, for tests and documentation. */
export function functionSources(): readonly string[] {
  return [...bodies.keys()];
}
