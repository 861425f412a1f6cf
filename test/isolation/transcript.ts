// Isolation transcripts (*.iso): what several sessions see when their statements interleave.
//
//   setup                         SQL run once per case, before the sessions start
//     CREATE TABLE test (...)
//   case REPEATABLE READ          a name; when it begins with an isolation level, every session starts with it as default
//   t1: UPDATE test SET ...       a session and its statement
//     UPDATE 1                    its answer: rows, then the command tag, or `ERROR code message`
//   t2: UPDATE test SET ...
//     (waits)                     no answer: the statement waits for another session
//   t1: COMMIT
//     COMMIT
//   t2 resumes                    the answer that this last step brought to the waiting session
//     UPDATE 1
//
// Indented lines are answers and are recorded; all others are written by hand. Lines starting with # are comments.

export type StepKind = "step" | "resumes";

export interface Entry {
  readonly kind: StepKind;
  readonly session: string;
  /** The statement of a step; empty for `resumes`. */
  readonly sql: string;
  readonly answer: readonly string[];
}

export interface Case {
  readonly name: string;
  /** Comment lines that stand before the case. */
  readonly preamble: readonly string[];
  readonly entries: readonly Entry[];
}

export interface Transcript {
  readonly preamble: readonly string[];
  readonly setup: readonly string[];
  readonly cases: readonly Case[];
}

export const WAITS = "(waits)";

type MutableEntry = Entry & { answer: string[] };
type MutableCase = Case & { entries: MutableEntry[] };

/** Reads a file. Throws with the line's number on a line that is neither of the forms above. */
export function parseTranscript(text: string): Transcript {
  const setup: string[] = [];
  const cases: MutableCase[] = [];
  let comments: string[] = [];
  let preamble: string[] | undefined;
  let indented: string[] | undefined;
  for (const [index, line] of text.split("\n").entries()) {
    if (line.startsWith("#")) {
      comments.push(line);
      continue;
    }
    if (line === "") continue;
    if (line.startsWith("  ")) {
      if (indented === undefined) throw new Error(`line ${index + 1}: nothing here has an answer`);
      indented.push(line.slice(2));
      continue;
    }
    const entries = cases.at(-1)?.entries;
    const named = /^case (.+)$/.exec(line);
    const step = /^(t\d+)(?:: (.+)| resumes)$/.exec(line);
    if (line === "setup") {
      preamble ??= comments;
      comments = [];
      indented = setup;
    } else if (named !== null) {
      cases.push({ name: named[1] ?? "", preamble: comments, entries: [] });
      comments = [];
      indented = undefined;
    } else if (step !== null && entries !== undefined) {
      const answer: string[] = [];
      const [, session = "", sql] = step;
      entries.push({ kind: sql === undefined ? "resumes" : "step", session, sql: sql ?? "", answer });
      indented = answer;
    } else {
      throw new Error(`line ${index + 1}: neither setup, case nor step: ${line}`);
    }
  }
  return { preamble: preamble ?? [], setup, cases };
}

/** The file that parseTranscript reads as `transcript`. */
export function printTranscript({ preamble, setup, cases }: Transcript): string {
  const indent = (lines: readonly string[]): string[] => lines.map((line) => `  ${line}`);
  const parts = cases.map((one) =>
    [
      ...one.preamble,
      `case ${one.name}`,
      ...one.entries.flatMap(({ kind, session, sql, answer }) => [
        kind === "step" ? `${session}: ${sql}` : `${session} resumes`,
        ...indent(answer),
      ]),
    ].join("\n"),
  );
  return `${[[...preamble, "setup", ...indent(setup)].join("\n"), ...parts].join("\n\n")}\n`;
}
