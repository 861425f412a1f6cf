// Limits of an execution: memory, slices of time.
import { expect, test } from "vitest";
import { SLICE_MS, STATEMENT_MEMORY_LIMIT_BYTES } from "./context.ts";
import { createContext } from "./execution.ts";
import { options } from "./testing/support.ts";

test("a statement that keeps too much ends with 53200", () => {
  const context = createContext(options());
  context.growMemory(STATEMENT_MEMORY_LIMIT_BYTES);
  expect(() => context.growMemory(1)).toThrow(
    expect.objectContaining({ code: "53200", message: "out of memory" }),
  );
  context.shrinkMemory(STATEMENT_MEMORY_LIMIT_BYTES);
  expect(() => context.growMemory(1)).not.toThrow();
});

test("a turn is given when the slice is used up, and starts a new one", async () => {
  let now = 0;
  const context = createContext(options({ clock: () => now }));
  expect(context.turn()).toBeUndefined();
  now = SLICE_MS;
  const pause = context.turn();
  expect(pause).toBeInstanceOf(Promise);
  await pause;
  expect(context.turn()).toBeUndefined();
});
