// Plays one case of a transcript against a server and writes down what happened.
//
// A statement that the file says will wait gets a short time to prove it wrong; one that the file says will answer gets
// all the time it needs. So a slow machine cannot make a right server fail. While recording, the reference's own
// pg_stat_activity says who waits for a lock.
import { setTimeout as sleep } from "node:timers/promises";
import type { Client } from "pg";
import { connect } from "../support/client.ts";
import { type Case, type Entry, WAITS } from "./transcript.ts";

const LEVEL = /^(READ COMMITTED|REPEATABLE READ|SERIALIZABLE)/;
/** How long a statement that should wait is watched. */
const WATCHED_MS = 60;
const PATIENCE_MS = 20_000;

interface Session {
  readonly client: Client;
  readonly pid: number;
  /** The answer under way; undefined when idle. */
  running: Promise<string[]> | undefined;
  /** Set when `running` has its answer. */
  answer: string[] | undefined;
}

async function ask(client: Client, sql: string): Promise<string[]> {
  try {
    const result = await client.query({ text: sql, rowMode: "array" });
    const last = Array.isArray(result) ? result.at(-1) : result;
    const rows = (last.rows as (string | null)[][]).map((row) =>
      row.map((value) => (value === "" ? "(empty)" : (value ?? "NULL"))).join("  "),
    );
    return [...rows, last.rowCount === null ? last.command : `${last.command} ${last.rowCount}`];
  } catch (error) {
    const { code, message } = error as { code?: string; message: string };
    return [`ERROR ${code ?? "without SQLSTATE"} ${message}`];
  }
}

export interface Stage {
  readonly url: string;
  readonly database: string;
  /** Record: decide by the server's pg_stat_activity who waits, rather than by the file. */
  readonly recording: boolean;
}

/** Runs the case's steps in order and returns them with the answers this server gave. */
export async function play(stage: Stage, script: Case): Promise<Case> {
  const control = await connect(stage.url, stage.database);
  const sessions = new Map<string, Session>();
  const entries: Entry[] = [];
  try {
    for (const [index, step] of script.entries.entries()) {
      if (step.kind === "resumes") continue;
      const session = sessions.get(step.session) ?? (await begin(stage, script, step.session, sessions));
      if (session.running !== undefined) throw new Error(`${step.session} still waits at: ${step.sql}`);
      start(session, step.sql);
      const shouldWait = step.answer[0] === WAITS;
      await settle(stage, control, session, shouldWait);
      entries.push({ ...step, answer: take(session) ?? [WAITS] });
      entries.push(...(await resumed(stage, control, sessions, script.entries.slice(index + 1))));
    }
    for (const [name, session] of sessions) {
      if (session.running !== undefined) throw new Error(`${name} waits at the end of ${script.name}`);
    }
  } finally {
    await Promise.all([...sessions.values(), { client: control }].map(({ client }) => client.end()));
  }
  return { ...script, entries };
}

async function begin(
  stage: Stage,
  script: Case,
  name: string,
  sessions: Map<string, Session>,
): Promise<Session> {
  const client = await connect(stage.url, stage.database);
  const level = LEVEL.exec(script.name)?.[0];
  if (level !== undefined) await client.query(`SET default_transaction_isolation = '${level.toLowerCase()}'`);
  const { rows } = await client.query<{ pid: string }>("SELECT pg_backend_pid() AS pid");
  const session: Session = { client, pid: Number(rows[0]?.pid), running: undefined, answer: undefined };
  sessions.set(name, session);
  return session;
}

function start(session: Session, sql: string): void {
  session.answer = undefined;
  session.running = ask(session.client, sql).then((answer) => {
    session.answer = answer;
    return answer;
  });
}

function take(session: Session): string[] | undefined {
  const { answer } = session;
  if (answer !== undefined) {
    session.running = undefined;
    session.answer = undefined;
  }
  return answer;
}

/** Comes back when the session has answered, or is taken to wait for a lock. */
async function settle(stage: Stage, control: Client, session: Session, shouldWait: boolean): Promise<void> {
  if (stage.recording) {
    for (let seen = 0; seen < 4 && session.answer === undefined; ) {
      await sleep(25);
      seen = (await waitsForLock(control, session.pid)) ? seen + 1 : 0;
    }
    return;
  }
  if (!shouldWait) {
    await Promise.race([session.running, sleep(PATIENCE_MS, undefined, { ref: false })]);
    return;
  }
  await Promise.race([session.running, sleep(WATCHED_MS)]);
  // On a busy machine the statement may not have been read yet: a later question that is answered says it was.
  for (let round = 0; round < 2 && session.answer === undefined; round++) await control.query("SELECT 1");
}

async function waitsForLock(control: Client, pid: number): Promise<boolean> {
  const sql = `SELECT 1 FROM pg_stat_activity WHERE pid = ${pid} AND (wait_event_type = 'Lock' OR wait_event = 'SafeSnapshot')`;
  return (await control.query(sql)).rowCount === 1;
}

/** Answers that the last step brought to waiting sessions, in the order of their names. */
async function resumed(
  stage: Stage,
  control: Client,
  sessions: ReadonlyMap<string, Session>,
  following: readonly Entry[],
): Promise<Entry[]> {
  const end = following.findIndex(({ kind }) => kind === "step");
  const expected = (end < 0 ? following : following.slice(0, end)).map(({ session }) => session);
  for (const [name, session] of sessions) {
    if (session.running !== undefined) await settle(stage, control, session, !expected.includes(name));
  }
  const entries: Entry[] = [];
  for (const [name, session] of [...sessions].toSorted(([a], [b]) => a.localeCompare(b))) {
    const answer = session.running === undefined ? undefined : take(session);
    if (answer !== undefined) entries.push({ kind: "resumes", session: name, sql: "", answer });
  }
  return entries;
}
