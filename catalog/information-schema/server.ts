// The database as a whole: its name, character set and collations.
import { viewPart, type ViewDefinition } from "./view.ts";

const catalogName = viewPart("information_schema_catalog_name", { catalog_name: "current_database()" }, "");

const characterSets = viewPart(
  "character_sets",
  {
    character_set_name: "'UTF8'",
    character_repertoire: "'UCS'",
    form_of_use: "'UTF8'",
    default_collate_catalog: "current_database()",
  },
  "",
);

const collations = viewPart(
  "collations",
  {
    collation_catalog: "current_database()",
    collation_schema: "nc.nspname",
    collation_name: "c.collname",
    pad_attribute: "'NO PAD'",
  },
  "FROM pg_collation c JOIN pg_namespace nc ON c.collnamespace = nc.oid WHERE c.collencoding IN (-1, 6)",
);

const applicability = viewPart(
  "collation_character_set_applicability",
  {
    collation_catalog: "current_database()",
    collation_schema: "nc.nspname",
    collation_name: "c.collname",
    character_set_name: "'UTF8'",
  },
  "FROM pg_collation c JOIN pg_namespace nc ON c.collnamespace = nc.oid WHERE c.collencoding IN (-1, 6)",
);

export const serverViews: readonly ViewDefinition[] = [
  ["information_schema_catalog_name", catalogName],
  ["character_sets", characterSets],
  ["collations", collations],
  ["collation_character_set_applicability", applicability],
];
