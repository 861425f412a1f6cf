// Serialises the creation of one name in one schema: the lock manager's object locks cover numbers, so a name is hashed into
// the upper half of the 32-bit object space, where no oid lives. A collision only makes two creators wait for each other.
import { ACCESS_EXCLUSIVE } from "../../../common/lock-mode.ts";
import type { DefinitionContext } from "./context.ts";

export async function lockName(context: DefinitionContext, schemaOid: number, name: string): Promise<void> {
  // FNV-1a, 31 bits.
  let hash = 0x811c9dc5;
  for (const character of `${schemaOid}/${name}`) {
    hash = Math.imul(hash ^ (character.codePointAt(0) ?? 0), 0x01000193);
  }
  await context.lockRelation(((hash & 0x7fffffff) | 0x80000000) >>> 0, ACCESS_EXCLUSIVE);
}
