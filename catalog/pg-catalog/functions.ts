// pg_proc and pg_aggregate: the generated rows with what the generator leaves out because it is the same everywhere.
import { CatalogOid } from "../catalog.ts";
import { generatedRows } from "./generated-rows.ts";
import type { RelationRows } from "./rows.ts";

export const pgProc: RelationRows = {
  lookups: ["oid", "proname"],
  *rows({ functions }, equal) {
    for (const row of generatedRows("pg_proc", functions.types, equal)) {
      const defaults = row["proargdefaults"];
      yield {
        ...row,
        proowner: CatalogOid.bootstrapRole,
        // Generated as a JSON list, one text a default; shown as pg_get_expr shows the node list.
        proargdefaults: typeof defaults === "string" ? (JSON.parse(defaults) as string[]).join(", ") : null,
      };
    }
  },
};

export const pgAggregate: RelationRows = {
  lookups: ["aggfnoid"],
  rows: ({ functions }, equal) => generatedRows("pg_aggregate", functions.types, equal),
};
