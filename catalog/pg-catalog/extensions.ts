// pg_available_extensions: what CREATE EXTENSION accepts.
import { SqlArray } from "../../common/types/array.ts";
import { Oid } from "../../common/types/oid.ts";
import { AVAILABLE_EXTENSIONS } from "../builtin/extensions.ts";
import type { RelationRows } from "./rows.ts";

export const pgAvailableExtensions: RelationRows = {
  lookups: [],
  *rows({ catalog }) {
    for (const { name, version, comment } of AVAILABLE_EXTENSIONS) {
      const installed = catalog.extension(name)?.extensionVersion ?? null;
      yield { name, default_version: version, installed_version: installed, comment };
    }
  },
};

export const pgAvailableExtensionVersions: RelationRows = {
  lookups: [],
  *rows({ catalog }) {
    for (const { name, version, comment } of AVAILABLE_EXTENSIONS) {
      yield {
        name,
        version,
        installed: catalog.extension(name) !== undefined,
        superuser: true,
        trusted: true,
        relocatable: true,
        requires: SqlArray.of(Oid.name, []),
        comment,
      };
    }
  },
};
