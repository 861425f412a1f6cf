// shared_buffers: the memory for rows that lie in no chunk file yet. Fixed when the server starts; the engine counts in bytes,
// the setting in blocks of 8 kB.
import { must } from "../common/assert.ts";
import { settingDefinition } from "./setting-definitions.ts";
import { checkSetting } from "./setting-checks.ts";
import { readSetting } from "./setting-values.ts";

const BLOCK_BYTES = 8192;

export interface SharedBuffers {
  /** Canonical text of the setting: a number of blocks. */
  readonly setting: string;
  readonly bytes: number;
}

/** Reads a size as PostgreSQL's configuration has it ("256MB"; a bare number counts blocks). Throws 22023. */
export function readSharedBuffers(text: string): SharedBuffers {
  const definition = must(settingDefinition("shared_buffers"), "PostgreSQL's settings are known");
  const setting = checkSetting(definition, readSetting(definition, text));
  return { setting, bytes: Number(setting) * BLOCK_BYTES };
}
