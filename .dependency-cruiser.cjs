// Who may import whom: the table of ARCHITECTURE.md as a check. Type-only imports count too.
// Each folder names what of ours it may reach; everything else is an error. Tests beside the sources follow the same table
// except that they may use test/ helpers.
const folders = {
  common: [],
  parser: ["common"],
  catalog: ["common"],
  planner: ["common", "parser", "catalog"],
  native: ["common"],
  executor: ["common", "catalog", "planner/physical", "planner/logical", "native"],
  session: ["parser", "planner", "executor", "catalog", "common", "native"],
  wire: ["common", "session", "native"],
};
const product = "^(common|parser|catalog|planner|native|executor|session|wire|bin|bench|test)/";

const rules = Object.entries(folders).map(([folder, allowed]) => ({
  name: `${folder}-imports`,
  comment: `${folder} may import ${allowed.length === 0 ? "nothing of ours" : allowed.join(", ")}`,
  severity: "error",
  from: { path: `^${folder}/`, pathNot: "\\.(test|property\\.test)\\.ts$" },
  to: { path: product, pathNot: [`^${folder}/`, ...allowed.map((a) => `^${a}/`)] },
}));

module.exports = {
  forbidden: [
    ...rules,
    {
      name: "planner-is-pure",
      comment: "every plan test runs without the addon and without I/O",
      severity: "error",
      from: { path: "^(planner|catalog|common|parser)/", pathNot: ["\\.test\\.ts$", "^catalog/generate/"] },
      to: { dependencyTypes: ["core"], pathNot: "^(node:)?(crypto|util)$" },
    },
    {
      name: "generated-binding",
      comment: "native/index.ts is the only importer of the generated binding",
      severity: "error",
      from: { pathNot: "^native/index\\.ts$" },
      to: { path: "^native/node/generated/" },
    },
    {
      name: "parser-library",
      comment: "libpg-query stays behind parser/",
      severity: "error",
      from: { pathNot: "^parser/" },
      to: { path: "node_modules/libpg-query" },
    },
  ],
  options: {
    parser: "swc",
    tsPreCompilationDeps: true,
    doNotFollow: { path: "node_modules" },
    exclude: { path: "(^dist|/generated/|^native/target)" },
    enhancedResolveOptions: { extensions: [".ts", ".js", ".json"], exportsFields: ["exports"], conditionNames: ["import", "node"] },
  },
};
