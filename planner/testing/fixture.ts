// A made-up catalogue for planner tests: a few tables with indexes and statistics over the generated PostgreSQL data, no
// engine. Not imported by product code.
import { must } from "../../common/assert.ts";
import type { FunctionContext } from "../../common/function-context.ts";
import { Oid } from "../../common/types/oid.ts";
import type { TypeContext } from "../../common/types/type.ts";
import { bootstrapEntries, storedEntry } from "../../catalog/bootstrap.ts";
import { CatalogCache } from "../../catalog/cache.ts";
import { CatalogOid, type CatalogSnapshot } from "../../catalog/catalog.ts";
import {
  type CatalogEntry,
  type ColumnEntry,
  type IndexEntry,
  PLAIN_CONSTRAINT,
  type StatisticsEntry,
  type TableEntry,
} from "../../catalog/entries.ts";
import { DEFAULT_SETTINGS, type PlannerContext, type PlannerSettings } from "../context.ts";

const types: TypeContext = {
  dateStyle: { format: "ISO", order: "MDY" },
  intervalStyle: "postgres",
  timeZone: "UTC",
  extraFloatDigits: 1,
  byteaOutput: "hex",
  now: () => 0,
};

interface ColumnSpec {
  readonly name: string;
  readonly oid: number;
  readonly typmod?: number;
  readonly notNull?: boolean;
  readonly default?: string;
  readonly identity?: "a" | "d";
  readonly generated?: string;
}

let nextOid = CatalogOid.firstUser;

function table(
  name: string,
  columns: readonly ColumnSpec[],
  primary: readonly string[],
  checks: readonly string[] = [],
): readonly CatalogEntry[] {
  const oid = nextOid;
  nextOid += 10;
  const entries = columns.map(
    (column, i): ColumnEntry => ({
      name: column.name,
      attnum: i + 1,
      type: { oid: column.oid, typmod: column.typmod ?? -1 },
      notNull: column.notNull === true || primary.includes(column.name),
      default: column.default,
      identity: column.identity ?? "",
      generated: column.generated,
      collation: column.oid === Oid.text || column.oid === Oid.varchar ? CatalogOid.defaultCollation : 0,
      isDropped: false,
      ownedSequence: 0,
    }),
  );
  const keys = primary.map(
    (key) =>
      must(
        entries.find((column) => column.name === key),
        "a key column",
      ).attnum,
  );
  const made: TableEntry = {
    kind: "table",
    oid,
    name,
    version: 1,
    database: CatalogOid.postgresDatabase,
    schema: CatalogOid.publicSchema,
    owner: CatalogOid.bootstrapRole,
    storageId: oid,
    rowTypeOid: oid + 1,
    arrayTypeOid: oid + 2,
    persistence: "p",
    columns: entries,
    constraints: [
      ...(keys.length === 0
        ? []
        : [
            {
              ...PLAIN_CONSTRAINT,
              oid: oid + 3,
              name: `${name}_pkey`,
              type: "p" as const,
              columns: keys,
              indexOid: oid + 4,
            },
          ]),
      ...checks.map((expression, i) => ({
        ...PLAIN_CONSTRAINT,
        oid: oid + 5 + i,
        name: `${name}_check${i}`,
        type: "c" as const,
        columns: [],
        expression,
      })),
    ],
  };
  if (keys.length === 0) return [made];
  return [
    made,
    index(made, `${name}_pkey`, "btree", primary, { oid: oid + 4, isUnique: true, isPrimary: true }),
  ];
}

interface IndexSpec {
  readonly oid?: number;
  readonly isUnique?: boolean;
  readonly isPrimary?: boolean;
  readonly opclass?: string;
}

function index(
  on: TableEntry,
  name: string,
  method: IndexEntry["method"],
  columns: readonly string[],
  spec: IndexSpec = {},
): IndexEntry {
  const oid = spec.oid ?? nextOid++;
  return {
    kind: "index",
    oid,
    name,
    version: 1,
    database: CatalogOid.postgresDatabase,
    schema: CatalogOid.publicSchema,
    owner: CatalogOid.bootstrapRole,
    tableOid: on.oid,
    storageId: oid,
    method,
    columns: columns.map((column) => {
      const entry = must(
        on.columns.find((candidate) => candidate.name === column),
        `column ${column}`,
      );
      const inputType = method === "btree" && entry.type.oid === Oid.varchar ? Oid.text : entry.type.oid;
      const opclass = must(
        builtin().operatorClass(method, inputType, spec.opclass),
        `an operator class for ${column}`,
      );
      return { attnum: entry.attnum, opclass: opclass.oid, descending: false, nullsFirst: false };
    }),
    keyCount: columns.length,
    isUnique: spec.isUnique === true,
    isPrimary: spec.isPrimary === true,
    isImmediate: true,
    nullsNotDistinct: false,
    options: method === "bm25" ? [["text_config", "english"]] : [],
    persistence: "p",
  };
}

let builtinSnapshot: CatalogSnapshot | undefined;

function builtin(): CatalogSnapshot {
  builtinSnapshot ??= snapshotOf([]);
  return builtinSnapshot;
}

function snapshotOf(entries: readonly CatalogEntry[]): CatalogSnapshot {
  const cache = new CatalogCache();
  cache.refresh(1, [...bootstrapEntries("postgres"), ...entries].map(storedEntry));
  return must(cache.snapshot(CatalogOid.postgresDatabase), "the database postgres");
}

function statistics(
  on: TableEntry,
  rowCount: number,
  columns: readonly Partial<StatisticsEntry["columns"][number]>[],
): StatisticsEntry {
  return {
    kind: "statistics",
    oid: on.oid,
    name: on.name,
    version: 1,
    database: CatalogOid.postgresDatabase,
    tableOid: on.oid,
    rowCount,
    columns: columns.map((column) => ({
      attnum: 0,
      nullFraction: 0,
      averageWidth: 4,
      distinct: -1,
      commonValues: [],
      commonFrequencies: [],
      histogram: [],
      correlation: 0,
      ...column,
    })),
  };
}

/** items(id, category, price, body, emb), reviews(id, item_id, stars, body), users(id, name, email), empty(a, b). */
function makeEntries(): readonly CatalogEntry[] {
  const items = table(
    "items",
    [
      { name: "id", oid: Oid.int8, default: "nextval('pg_class'::regclass)" },
      { name: "category", oid: Oid.text, notNull: true },
      { name: "price", oid: Oid.numeric, typmod: (10 << 16) + 2 + 4 },
      { name: "body", oid: Oid.text },
      { name: "emb", oid: Oid.vector, typmod: 3 },
    ],
    ["id"],
    ["(price >= (0)::numeric)"],
  );
  const reviews = table(
    "reviews",
    [
      { name: "id", oid: Oid.int4 },
      { name: "item_id", oid: Oid.int8, notNull: true },
      { name: "stars", oid: Oid.int4 },
      { name: "body", oid: Oid.text },
    ],
    ["id"],
  );
  const users = table(
    "users",
    [
      { name: "id", oid: Oid.int4 },
      { name: "name", oid: Oid.varchar, typmod: 24 },
      { name: "email", oid: Oid.text },
      { name: "created", oid: Oid.timestamptz, default: "now()" },
      { name: "serial_no", oid: Oid.int4, identity: "a" },
      { name: "lower_email", oid: Oid.text, generated: "lower(email)" },
    ],
    ["id"],
  );
  const empty = table(
    "empty",
    [
      { name: "a", oid: Oid.int4 },
      { name: "b", oid: Oid.text },
    ],
    [],
  );
  const itemTable = items[0] as TableEntry;
  const reviewTable = reviews[0] as TableEntry;
  const userTable = users[0] as TableEntry;
  return [
    ...items,
    ...reviews,
    ...users,
    ...empty,
    index(itemTable, "items_category_idx", "btree", ["category"]),
    index(itemTable, "items_price_idx", "btree", ["price", "id"]),
    index(itemTable, "items_emb_idx", "hnsw", ["emb"], { opclass: "vector_l2_ops" }),
    index(itemTable, "items_body_idx", "bm25", ["body"]),
    index(reviewTable, "reviews_item_id_idx", "btree", ["item_id"]),
    index(userTable, "users_email_key", "btree", ["email"], { isUnique: true }),
    statistics(itemTable, 20_000, [
      { attnum: 1, averageWidth: 8 },
      {
        attnum: 2,
        averageWidth: 8,
        distinct: 20,
        commonValues: ["toys", "books"],
        commonFrequencies: [0.4, 0.01],
      },
      {
        attnum: 3,
        averageWidth: 6,
        distinct: -0.5,
        histogram: ["0.00", "25.00", "50.00", "75.00", "100.00"],
      },
      { attnum: 4, averageWidth: 200, distinct: -1 },
      { attnum: 5, averageWidth: 20, distinct: -1 },
    ]),
    statistics(reviewTable, 100_000, [
      { attnum: 1, averageWidth: 4 },
      { attnum: 2, averageWidth: 8, distinct: 20_000 },
      {
        attnum: 3,
        averageWidth: 4,
        distinct: 5,
        commonValues: ["5", "4", "3", "2", "1"],
        commonFrequencies: [0.5, 0.2, 0.1, 0.1, 0.1],
      },
      { attnum: 4, averageWidth: 100, distinct: -1 },
    ]),
    statistics(userTable, 1000, []),
  ];
}

let testSnapshot: CatalogSnapshot | undefined;

/** The tables of recorded.ts: t and u. */
function recordedEntries(): readonly CatalogEntry[] {
  return [
    ...table(
      "t",
      [
        { name: "a", oid: Oid.int4 },
        { name: "b", oid: Oid.text },
        { name: "c", oid: Oid.int8 },
        { name: "d", oid: Oid.numeric },
        { name: "e", oid: Oid.date },
        { name: "f", oid: 1007 },
        { name: "g", oid: Oid.varchar, typmod: 14 },
        { name: "h", oid: Oid.json },
        { name: "i", oid: Oid.numeric, typmod: (10 << 16) + 2 + 4 },
      ],
      ["a"],
    ),
    ...table(
      "u",
      [
        { name: "a", oid: Oid.int4 },
        { name: "note", oid: Oid.text },
      ],
      [],
    ),
  ];
}

/** A planner context over the made-up catalogue. */
export function testContext(
  settings: Partial<PlannerSettings> = {},
  parameterTypes: readonly number[] = [],
): PlannerContext {
  testSnapshot ??= snapshotOf([...makeEntries(), ...recordedEntries()]);
  return {
    catalog: testSnapshot,
    searchPath: ["pg_catalog", "public"],
    parameterTypes,
    settings: { ...DEFAULT_SETTINGS, ...settings },
    functionContext: testFunctions(testSnapshot),
    rowCount: () => undefined,
  };
}

/** Binding and folding only print and parse values; whatever else is asked for is a mistake of the test. */
function testFunctions(snapshot: CatalogSnapshot): FunctionContext {
  const session = new Proxy(
    {},
    {
      get: (_, name) => () => {
        throw new Error(`the planner asked the session for ${String(name)}`);
      },
    },
  );
  return {
    types: { ...types, names: { parse: () => 0, format: (_kind, oid) => String(oid) } },
    session: session as FunctionContext["session"],
    catalog: { searchPath: () => ["pg_catalog", "public"], snapshot },
  };
}
