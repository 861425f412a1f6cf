// Where a function's body comes from: the plain functions of catalog/functions, and those that read the catalogue.
import { functionBody } from "../functions/registry.ts";
import { systemFunctionBodies } from "../system-functions/index.ts";
import type { FunctionBody } from "../functions/function.ts";

/** undefined = no body: the function takes part in overload resolution, and calling it is 0A000. */
export function bodyOf(source: string): FunctionBody | undefined {
  return functionBody(source) ?? systemFunctionBodies.get(source);
}
