// One client: connects, compares its rows with its model, and does one random thing after the other until the run is over.
import { Ids } from "./changes.ts";
import { Connection, Lost, Refused } from "./connection.ts";
import { defineIndex, defineTogether, disturb, maintain } from "./definitions.ts";
import { Random } from "./random.ts";
import { search } from "./searches.ts";
import { changeChildren, transfer, truncateForNothing } from "./shared.ts";
import { OwnRows } from "./transactions.ts";
import type { Progress, World } from "./world.ts";

interface Task {
  readonly name: string;
  /** How often, beside the others. */
  readonly weight: number;
  readonly run: (connection: Connection) => Promise<void>;
}

/** Does random work as client number `client` until the deadline; then compares once more. */
export async function runClient(world: World, client: number): Promise<void> {
  const { report } = world;
  const random = new Random(world.seed * 1000 + client);
  const progress = world.progress[client] as Progress;
  const own = new OwnRows(client, new Ids(client, world.progress.length), report, progress);
  const tasks: readonly Task[] = [
    { name: "own rows", weight: 50, run: (connection) => own.change(connection, random) },
    { name: "compare", weight: 1, run: (connection) => own.compare(connection) },
    { name: "search", weight: 26, run: (connection) => search(connection, random, report) },
    { name: "transfer", weight: 10, run: (connection) => transfer(connection, random) },
    { name: "children", weight: 4, run: (connection) => changeChildren(connection, random) },
    { name: "truncate", weight: 0.4, run: (connection) => truncateForNothing(connection, random) },
    { name: "index", weight: 5, run: (connection) => defineIndex(connection, random) },
    { name: "definitions", weight: 1, run: (connection) => defineTogether(connection, random) },
    { name: "upkeep", weight: 2, run: (connection) => maintain(connection, random) },
    { name: "disturb", weight: 0.6, run: (connection) => disturb(connection, random) },
  ];
  let connection: Connection | undefined;
  const step = async (task: (open: Connection) => Promise<void>): Promise<void> => {
    try {
      if (connection === undefined) {
        connection = await Connection.open(world);
        await own.compare(connection);
      }
      await task(connection);
    } catch (error) {
      if (error instanceof Refused && connection) await connection.query("ROLLBACK").catch(() => forget());
      else if (error instanceof Lost) forget();
      else throw error;
    }
  };
  const forget = (): void => {
    void connection?.close();
    connection = undefined;
  };
  while (Date.now() < world.deadline) {
    const task = pickTask(tasks, random);
    report.count(task.name);
    await step(task.run);
  }
  await step((open) => own.compare(open));
  await connection?.close();
}

function pickTask(tasks: readonly Task[], random: Random): Task {
  let place = random.between(
    0,
    tasks.reduce((sum, task) => sum + task.weight, 0),
  );
  return tasks.find((task) => (place -= task.weight) < 0) ?? (tasks[0] as Task);
}
