// Assertions document invariants and catch our bugs; they never judge user input (that is SqlError's work).
// A failed assertion leaves a statement as XX000 and the server running.

export class AssertionError extends Error {
  override name = "AssertionError";
}

/** Throws AssertionError when `condition` does not hold. `expectation` says what was expected. */
export function assert(condition: unknown, expectation: string): asserts condition {
  if (!condition) throw new AssertionError(`assertion failed: ${expectation}`);
}

/** Closes a switch over a discriminated union: a new member then fails to compile. */
export function unreachable(value: never): never {
  throw new AssertionError(`unreachable: ${JSON.stringify(value)}`);
}

/** `value` without undefined or null; `expectation` says why it must be there. */
export function must<T>(value: T | undefined | null, expectation: string): T {
  if (value === undefined || value === null) throw new AssertionError(`assertion failed: ${expectation}`);
  return value;
}
