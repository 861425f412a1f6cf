// Functions that read the catalogue, keyed by pg_proc.prosrc as catalog/builtin/functions.ts defines `source`.
import type { FunctionBody } from "../functions/function.ts";

export const systemFunctionBodies: ReadonlyMap<string, FunctionBody> = new Map();
