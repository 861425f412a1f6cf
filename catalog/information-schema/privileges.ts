// Grants and roles. No GRANT has been recorded, so what is shown is what follows from ownership: the owner holds every
// privilege on his tables with the right to pass it on.
import { viewPart, yesNo, type ViewDefinition } from "./view.ts";

const TABLE_PRIVILEGES =
  "'INSERT'), ('SELECT'), ('UPDATE'), ('DELETE'), ('TRUNCATE'), ('REFERENCES'), ('TRIGGER'";
const COLUMN_PRIVILEGES = "'INSERT'), ('SELECT'), ('UPDATE'), ('REFERENCES'";

const granted = {
  grantor: "u.rolname",
  grantee: "u.rolname",
  table_catalog: "current_database()",
  table_schema: "nc.nspname",
  table_name: "c.relname",
  privilege_type: "pr.type",
  is_grantable: "'YES'",
};

function tableGrants(name: string): ViewDefinition {
  const part = viewPart(
    name,
    { ...granted, with_hierarchy: yesNo("pr.type = 'SELECT'") },
    `FROM pg_class c
     JOIN pg_namespace nc ON c.relnamespace = nc.oid
     JOIN pg_authid u ON u.oid = c.relowner
     CROSS JOIN (VALUES (${TABLE_PRIVILEGES})) AS pr (type)
   WHERE c.relkind IN ('r', 'v', 'f', 'p') AND pg_has_role(u.oid, 'USAGE')`,
  );
  return [name, part];
}

function columnGrants(name: string): ViewDefinition {
  const part = viewPart(
    name,
    { ...granted, column_name: "a.attname" },
    `FROM pg_class c
     JOIN pg_namespace nc ON c.relnamespace = nc.oid
     JOIN pg_authid u ON u.oid = c.relowner
     JOIN pg_attribute a ON a.attrelid = c.oid
     CROSS JOIN (VALUES (${COLUMN_PRIVILEGES})) AS pr (type)
   WHERE c.relkind IN ('r', 'v', 'f', 'p') AND a.attnum > 0 AND NOT a.attisdropped AND pg_has_role(u.oid, 'USAGE')`,
  );
  return [name, part];
}

const enabledRoles = viewPart(
  "enabled_roles",
  { role_name: "u.rolname" },
  "FROM pg_authid u WHERE pg_has_role(u.oid, 'USAGE')",
);

export const privilegeViews: readonly ViewDefinition[] = [
  tableGrants("table_privileges"),
  tableGrants("role_table_grants"),
  columnGrants("column_privileges"),
  columnGrants("role_column_grants"),
  ["enabled_roles", enabledRoles],
];
