// The rows of each relation of pg_catalog. A relation that is not listed here exists with its columns and has no rows.
import type { RelationRows } from "./rows.ts";

export const pgCatalogRows: ReadonlyMap<string, RelationRows> = new Map();
