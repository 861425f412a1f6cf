// A catalogue with a few objects and a function context over it, without engine and session: what tests of catalogue
// relations and functions run against.
import { must } from "../../common/assert.ts";
import { Oid } from "../../common/types/oid.ts";
import type { FunctionContext } from "../../common/function-context.ts";
import type { Datum, TypeContext } from "../../common/types/type.ts";
import { bootstrapEntries, storedEntry } from "../../catalog/bootstrap.ts";
import { writeLabel } from "../../catalog/build-label.ts";
import { CatalogCache } from "../../catalog/cache.ts";
import { CatalogOid, type VirtualContext } from "../../catalog/catalog.ts";
import { catalogRegNames } from "../../catalog/deparse/reg-names.ts";
import {
  type CatalogEntry,
  type ColumnEntry,
  type IndexEntry,
  PLAIN_CONSTRAINT,
  type SequenceEntry,
  type TableEntry,
} from "../../catalog/entries.ts";
import type { Snapshot } from "../../catalog/snapshot.ts";

const base = {
  version: 1,
  database: CatalogOid.postgresDatabase,
  schema: CatalogOid.publicSchema,
  owner: CatalogOid.bootstrapRole,
  persistence: "p",
} as const;

function column(attnum: number, name: string, oid: number, extra: Partial<ColumnEntry> = {}): ColumnEntry {
  return {
    name,
    attnum,
    type: { oid, typmod: -1 },
    notNull: false,
    default: undefined,
    identity: "",
    generated: undefined,
    collation: oid === 25 ? 100 : 0,
    isDropped: false,
    ownedSequence: 0,
    ...extra,
  };
}

function index(oid: number, name: string, extra: Partial<IndexEntry>): IndexEntry {
  return {
    ...base,
    kind: "index",
    oid,
    name,
    tableOid: 16384,
    storageId: oid,
    method: "btree",
    columns: [],
    keyCount: 1,
    isUnique: false,
    isPrimary: false,
    isImmediate: true,
    nullsNotDistinct: false,
    options: [],
    ...extra,
  };
}

const up = { descending: false, nullsFirst: false };

/** As after: CREATE TABLE docs (id serial PRIMARY KEY, body text DEFAULT 'x', emb vector(3), n numeric(10,2) CHECK (n > 0 ...)). */
export const docs: TableEntry = {
  ...base,
  kind: "table",
  oid: 16384,
  name: "docs",
  storageId: 1,
  rowTypeOid: 16385,
  arrayTypeOid: 16386,
  columns: [
    column(1, "id", 23, {
      notNull: true,
      default: "nextval('public.docs_id_seq'::regclass)",
      ownedSequence: 16390,
    }),
    column(2, "body", 25, { default: "'x'::text" }),
    column(3, "emb", Oid.vector, { type: { oid: Oid.vector, typmod: 3 } }),
    column(4, "Odd name", 1700, { type: { oid: 1700, typmod: 655366 } }),
  ],
  constraints: [
    { ...PLAIN_CONSTRAINT, oid: 16388, name: "docs_pkey", type: "p", columns: [1], indexOid: 16387 },
    {
      ...PLAIN_CONSTRAINT,
      oid: 16389,
      name: "docs_check",
      type: "c",
      columns: [1, 4],
      expression: '((id > 0) AND ("Odd name" IS NOT NULL))',
    },
  ],
};

const sequence: SequenceEntry = {
  ...base,
  kind: "sequence",
  oid: 16390,
  name: "docs_id_seq",
  storageId: 9,
  typeOid: 23,
  start: "1",
  increment: "1",
  min: "1",
  max: "2147483647",
  cache: "1",
  cycle: false,
  ownerTable: 16384,
  ownerAttnum: 1,
  dependency: "a",
};

export const sampleEntries: readonly CatalogEntry[] = [
  docs,
  sequence,
  index(16387, "docs_pkey", {
    columns: [{ attnum: 1, opclass: 1978, ...up }],
    isUnique: true,
    isPrimary: true,
  }),
  index(16391, "docs_emb_idx", {
    method: "hnsw",
    columns: [{ attnum: 3, opclass: 9203, ...up }],
    options: [
      ["m", "16"],
      ["ef_construction", "200"],
    ],
  }),
  index(16392, "docs_body_idx", {
    method: "bm25",
    columns: [{ attnum: 2, opclass: 9208, ...up }],
    options: [["text_config", "english"]],
  }),
  index(16393, "Mixed", {
    columns: [
      { attnum: 2, opclass: 4217, descending: true, nullsFirst: false },
      { attnum: 4, opclass: 3125, descending: false, nullsFirst: true },
      { attnum: 1, opclass: 0, ...up },
    ],
    keyCount: 2,
  }),
  { ...base, kind: "extension", oid: 16400, name: "vector", extensionVersion: "0.8.5" },
  {
    ...base,
    kind: "comment",
    oid: 16401,
    name: "",
    classOid: 1259,
    objectOid: 16384,
    subId: 2,
    text: "the text",
  },
  {
    ...base,
    kind: "statistics",
    oid: 16384,
    name: "docs",
    tableOid: 16384,
    rowCount: 1000,
    columns: [
      {
        attnum: 1,
        nullFraction: 0,
        averageWidth: 4,
        distinct: -1,
        commonValues: [],
        commonFrequencies: [],
        histogram: ["1", "500", "1000"],
        correlation: 1,
      },
    ],
  },
];

export function sampleSnapshot(entries: readonly CatalogEntry[] = sampleEntries): Snapshot {
  const cache = new CatalogCache();
  cache.refresh(1, [...bootstrapEntries("postgres"), ...entries].map(storedEntry));
  return must(cache.snapshot(CatalogOid.postgresDatabase), "the database postgres");
}

export function sampleContext(catalog: Snapshot, searchPath: readonly string[] = ["public"]): VirtualContext {
  const path = (implicit: boolean): readonly string[] =>
    implicit ? ["pg_catalog", ...searchPath] : searchPath;
  const types: TypeContext = {
    dateStyle: { format: "ISO", order: "MDY" },
    intervalStyle: "postgres",
    timeZone: "UTC",
    extraFloatDigits: 1,
    byteaOutput: "hex",
    now: () => 0,
    names: catalogRegNames(() => ({ catalog, searchPath: path(true) })),
  };
  const statistics: VirtualContext["statistics"] = {
    sessions: () => [],
    locks: () => [],
    blockers: () => [],
    relationRows: () => ({
      rowCount: 1000,
      deadCount: 0,
      sizeBytes: 81920,
      vacuums: 0,
      lastVacuum: 0,
      collections: 0,
      lastCollection: 0,
    }),
    indexRows: () => ({ entryCount: 1000, sizeBytes: 16384 }),
    indexEntries: () => 1000,
    sequence: () => ({ lastValue: 7n, isCalled: true }),
    builds: () => [
      {
        indexId: 16391,
        relationId: 1,
        processId: 1,
        label: writeLabel({
          command: "CREATE INDEX CONCURRENTLY",
          index: must(
            sampleEntries.find((entry) => entry.kind === "index"),
            "an index",
          ),
        }),
        phase: "building",
        done: 10,
        total: 100,
      },
    ],
    backups: () => [{ processId: 7, phase: "streaming database files", done: 10, total: 100 }],
    vacuums: () => [
      {
        processId: 7,
        relationId: 1,
        phase: "vacuuming heap",
        chunks: 4,
        scanned: 2,
        rewritten: 1,
        dead: 10,
        dropped: 10,
      },
    ],
  };
  const session = new Proxy(
    { processId: 1, currentUser: "postgres", sessionUser: "postgres", currentDatabase: "postgres" },
    {
      get: (target, name): unknown => {
        if (name in target) return target[name as keyof typeof target];
        if (name === "getSetting") return (setting: string) => (setting === "work_mem" ? "8MB" : undefined);
        if (String(name).endsWith("Timestamp")) return () => 0;
        throw new Error(`the sample context has no ${String(name)}`);
      },
    },
  ) as unknown as FunctionContext["session"];
  return {
    catalog,
    statistics,
    functions: { types, session, catalog: { searchPath: path, snapshot: catalog, statistics } },
  };
}

/** Calls a function by name and argument types, as the executor would. */
export function call(
  context: VirtualContext,
  name: string,
  types: readonly number[],
  args: readonly Datum[],
): Datum {
  const overloads = context.catalog.functionsByName("pg_catalog", name, []);
  const entry = must(
    overloads.find((candidate) => String(candidate.argumentTypes) === String(types)),
    `function ${name}(${types.join(",")})`,
  );
  if (entry.body?.kind !== "scalar") throw new Error(`${name} has no scalar body`);
  if (entry.isStrict && args.includes(null)) return null;
  const typed = types.map((oid) => ({ oid, typmod: -1 }));
  return entry.body.row(args, {
    context: context.functions,
    argumentTypes: typed,
    resultType: { oid: entry.resultType, typmod: -1 },
  });
}
