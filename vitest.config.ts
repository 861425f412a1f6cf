import { defineConfig } from "vitest/config";

// Forks, so that a crash in the addon fails one file. Slow suites carry `.slow` and run with `npm run test:slow`.
export default defineConfig({
  test: {
    pool: "forks",
    include: ["{common,parser,catalog,planner,executor,session,native,wire,bin,test}/**/*.test.ts"],
    exclude: ["**/node_modules/**", "native/target/**", "dist/**", "**/*.slow.test.ts"],
    testTimeout: 30_000,
    hookTimeout: 60_000,
  },
});
