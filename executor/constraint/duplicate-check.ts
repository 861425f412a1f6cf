// Deferrable PRIMARY KEY and UNIQUE: rows went in unchecked, duplicates are looked for now.
import { assert } from "../../common/assert.ts";
import { WriteReason, WriteStatus } from "../../native/engine.ts";
import type { ExecutionContext } from "../context.ts";
import { readNewest } from "../modify/existing-rows.ts";
import { fullRow } from "../modify/constraints.ts";
import { uniqueViolation } from "../modify/violations.ts";
import type { DuplicateEvent } from "./events.ts";

/** 23505 for the first row whose key another row has. Waits for transactions that may take that other row away. */
export async function checkDuplicates(event: DuplicateEvent, context: ExecutionContext): Promise<void> {
  const table = context.catalog.entry("table", event.watch.tableOid);
  if (table?.kind !== "table") return;
  const constraint = table.constraints.find(({ oid }) => oid === event.watch.constraintOid);
  const index = context.catalog.entry("index", constraint?.indexOid ?? 0);
  if (index?.kind !== "index") return;
  context.transaction.beginStatement();
  const status = new Int32Array(4);
  for (const rids of event.rids) {
    for (let at = 0; at < rids.length; ) {
      status.fill(0);
      at += context.transaction.checkDuplicates(index.storageId, rids, at, rids.length - at, status);
      if (at >= rids.length) break;
      if (status[WriteStatus.reason] === WriteReason.conflict) {
        const live = table.columns.filter((column) => !column.isDropped).map((column) => column.attnum);
        const { columns } = readNewest(table, live, rids.slice(at, at + 1), context);
        throw uniqueViolation(table, index, fullRow(columns, 0), context);
      }
      assert(status[WriteStatus.reason] === WriteReason.wait, "a check that stopped early says why");
      await context.wait((status[WriteStatus.token] as number) >>> 0);
      context.checkInterrupt();
    }
  }
}
