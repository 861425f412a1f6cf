// Functions that read the catalogue, keyed by pg_proc.prosrc as catalog/builtin/functions.ts defines `source`. They find the
// snapshot in the call's context, so a plan holds none and sees the catalogue of the statement that runs it.
import type { FunctionBody } from "../functions/function.ts";
import { commentBodies } from "./comments.ts";
import { definitionBodies } from "./definitions.ts";
import { informationSchemaBodies } from "./information-schema.ts";
import { nameBodies } from "./names.ts";
import { privilegeBodies } from "./privileges.ts";
import { serverBodies } from "./server.ts";
import { sizeBodies } from "./sizes.ts";

export const systemFunctionBodies: ReadonlyMap<string, FunctionBody> = new Map([
  ...commentBodies,
  ...definitionBodies,
  ...informationSchemaBodies,
  ...nameBodies,
  ...privilegeBodies,
  ...serverBodies,
  ...sizeBodies,
]);
