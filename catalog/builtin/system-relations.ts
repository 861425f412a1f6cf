// Names, oids and columns of the relations of pg_catalog and information_schema, from the generated data. What rows they
// have is catalog/builtin/relations.ts's affair, so that pg_class can list them without depending on them.
import { must } from "../../common/assert.ts";
import type { VirtualColumn } from "../catalog.ts";
import { generatedTable, rowsBy } from "./tables.ts";
import { domainBase } from "./types.ts";

/** A column as pg_attribute shows it: `declaredType` may be a domain of information_schema. */
export interface SystemColumn extends VirtualColumn {
  readonly declaredType: number;
}

export interface SystemRelation {
  readonly oid: number;
  readonly name: string;
  readonly schema: number;
  readonly rowTypeOid: number;
  /** r table, v view: as PostgreSQL has it, whatever it is here. */
  readonly relkind: string;
  readonly isShared: boolean;
  readonly columns: readonly SystemColumn[];
}

const decoded = new Map<number, SystemRelation>();

export function systemRelation(schema: number, name: string): SystemRelation | undefined {
  return rowsBy("system_relations", "relname", name)
    .map(relationOf)
    .find((relation) => relation.schema === schema);
}

export function systemRelationByOid(oid: number): SystemRelation | undefined {
  const row = rowsBy("system_relations", "oid", String(oid))[0];
  return row === undefined ? undefined : relationOf(row);
}

export function* systemRelations(): Iterable<SystemRelation> {
  const { rowCount } = generatedTable("system_relations");
  for (let row = 0; row < rowCount; row++) yield relationOf(row);
}

function relationOf(row: number): SystemRelation {
  const known = decoded.get(row);
  if (known !== undefined) return known;
  const table = generatedTable("system_relations");
  const fields = table.fields(row);
  const text = (column: string): string => fields[table.position(column)] ?? "";
  const oid = Number(text("oid"));
  const name = text("relname");
  const schema = Number(text("relnamespace"));
  const columns = text("columns").split(",").map(columnOf);
  const relation: SystemRelation = {
    oid,
    name,
    schema,
    rowTypeOid: Number(text("reltype")),
    relkind: text("relkind"),
    isShared: text("relisshared") === "t",
    columns,
  };
  decoded.set(row, relation);
  return relation;
}

/** "name type typmod notnull". Domains are read as their base types: that is also what the protocol reports for them. */
function columnOf(text: string): SystemColumn {
  const [name, type, typmod, notNull] = text.split(" ");
  const declaredType = Number(type);
  const base = domainBase(declaredType);
  return {
    name: must(name, "a column name"),
    declaredType,
    type: { oid: base.oid, typmod: base.oid === declaredType ? Number(typmod) : base.typmod },
    notNull: notNull === "1",
  };
}
