import { expect, test } from "vitest";
import { ActivityBoard } from "./activity.ts";

const identity = {
  processId: 1,
  databaseOid: 5,
  roleOid: 10,
  startTime: 1,
  clientAddress: undefined,
  clientPort: undefined,
};

test("a session is seen through any board over the same memory until it closes", () => {
  const buffer = ActivityBoard.allocate();
  const [here, there] = [1, 2].map(() => new ActivityBoard(() => Uint32Array.of(1, 2), buffer));
  const record = here?.open(identity);
  record?.run("SELECT 'é'", 20, 3, 15);
  expect([...(there?.sessions() ?? [])]).toMatchObject([
    {
      processId: 1,
      state: "active",
      query: "SELECT 'é'",
      transactionNumber: 3,
      transactionStart: 15,
      queryStart: 20,
    },
  ]);
  record?.rest("E", 30, 15);
  expect([...(there?.sessions() ?? [])]).toMatchObject([
    { state: "idle in transaction (aborted)", query: "SELECT 'é'", stateChange: 30 },
  ]);
  record?.close();
  expect([...(there?.sessions() ?? [])]).toEqual([]);
});

test("long texts are cut between characters", () => {
  const board = new ActivityBoard(() => Uint32Array.of(1));
  board.open(identity).run("é".repeat(1000), 1, 1, 1);
  expect([...board.sessions()][0]?.query).toBe("é".repeat(511));
});

test("slots of sessions that ended unheard are taken again; beyond the last nobody is seen", () => {
  let live = Uint32Array.from({ length: 1024 }, (_, i) => i + 1);
  const board = new ActivityBoard(() => live);
  for (const processId of live) board.open({ ...identity, processId });
  board.open({ ...identity, processId: 5000 }).run("SELECT 1", 1, 1, 1);
  expect([...board.sessions()]).toHaveLength(1024);
  live = Uint32Array.of(7, 6000);
  expect([...board.sessions()].map((session) => session.processId)).toEqual([7]);
  board.open({ ...identity, processId: 6000 });
  expect([...board.sessions()].map((session) => session.processId).toSorted((a, b) => a - b)).toEqual([
    7, 6000,
  ]);
});
