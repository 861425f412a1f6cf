// Rows that all clients write: what holds of them is that transfers keep their sum and that a child has a parent.
import type { Connection } from "./connection.ts";
import type { Random } from "./random.ts";
import { DIMENSIONS, vectorText } from "./rows.ts";
import { LEVELS } from "./transactions.ts";

const ACCOUNTS = 40;

export const CREATE_SHARED = [
  `CREATE TABLE account (id int PRIMARY KEY, n int NOT NULL, v vector(${DIMENSIONS}))`,
  `INSERT INTO account SELECT g, 0, array_fill(g::real, ARRAY[${DIMENSIONS}])::vector FROM generate_series(1, ${ACCOUNTS}) g`,
  "CREATE INDEX ON account USING hnsw (v vector_l2_ops)",
  `CREATE TABLE child (id bigserial PRIMARY KEY, parent bigint REFERENCES t0 ON DELETE CASCADE,
    other bigint REFERENCES t1 ON DELETE SET NULL ON UPDATE CASCADE)`,
];

/** Each gives one row with true where all is well. */
export const SHARED_INVARIANTS = [
  `SELECT count(*) = ${ACCOUNTS} AND sum(n) = 0 FROM account`,
  "SELECT count(*) = 0 FROM child c LEFT JOIN t0 p ON p.id = c.parent WHERE c.parent IS NOT NULL AND p.id IS NULL",
  "SELECT count(*) = 0 FROM child c LEFT JOIN t1 p ON p.id = c.other WHERE c.other IS NOT NULL AND p.id IS NULL",
];

/** Moves an amount between two accounts, at any level of isolation, with or without locks taken first. */
export async function transfer(connection: Connection, random: Random): Promise<void> {
  const [from, to, amount] = [random.integer(ACCOUNTS) + 1, random.integer(ACCOUNTS) + 1, random.integer(9)];
  await connection.query(`BEGIN ISOLATION LEVEL ${random.pick(LEVELS)}`);
  const lock = random.pick(["", "FOR UPDATE", "FOR UPDATE NOWAIT", "FOR NO KEY UPDATE", "FOR SHARE"]);
  await connection.query(`SELECT n FROM account WHERE id IN (${from}, ${to}) ORDER BY id ${lock}`);
  await connection.query(`UPDATE account SET n = n - $1, v = $2 WHERE id = $3`, [
    amount,
    vectorText(random),
    from,
  ]);
  if (random.chance(0.2))
    await connection.query("SELECT id FROM account ORDER BY id LIMIT 3 FOR SHARE SKIP LOCKED");
  await connection.query("UPDATE account SET n = n + $1 WHERE id = $2", [amount, to]);
  await connection.query(random.chance(0.1) ? "ROLLBACK" : "COMMIT");
}

/** Rows that refer to the clients' rows, which come and go meanwhile. */
export async function changeChildren(connection: Connection, random: Random): Promise<void> {
  const choice = random.integer(10);
  if (choice === 0) await connection.query("TRUNCATE child");
  else if (choice === 1) await connection.query(`DELETE FROM child WHERE id % 3 = ${random.integer(3)}`);
  else {
    const rest = random.integer(41);
    await connection.query(
      `INSERT INTO child (parent, other) SELECT a.id, b.id FROM t0 a JOIN t1 b ON b.cat = a.cat WHERE a.id % 41 = ${rest} LIMIT 20`,
      undefined,
      // A parent may go between the statement's snapshot and its check.
      ["23503"],
    );
  }
}

/** TRUNCATE of everybody's rows: nobody else sees it, and nothing stays of it. */
export async function truncateForNothing(connection: Connection, random: Random): Promise<void> {
  await connection.query(`BEGIN ISOLATION LEVEL ${random.pick(LEVELS)}`);
  await connection.query("TRUNCATE t0, t1, child");
  await connection.query(`SELECT id FROM t0 ORDER BY v <-> '${vectorText(random)}' LIMIT 3`);
  await connection.query("ROLLBACK");
}
