import { defineConfig } from "vitest/config";

// Suites that take minutes: kill -9 loops, recall on larger sets, comparison with a live PostgreSQL.
export default defineConfig({
  test: {
    pool: "forks",
    include: ["{common,parser,catalog,planner,executor,session,native,wire,bin,test}/**/*.slow.test.ts"],
    exclude: ["**/node_modules/**", "native/target/**", "dist/**"],
    testTimeout: 600_000,
    fileParallelism: false,
    passWithNoTests: true,
  },
});
