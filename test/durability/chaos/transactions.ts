// One client's transactions over its own rows. What a lost connection leaves open is settled by what `progress` says.
import { type Change, copy, type Ids, statement } from "./changes.ts";
import { type Connection, Lost, Refused } from "./connection.ts";
import { Draft, progressSql, sumOfRows } from "./model.ts";
import type { Random } from "./random.ts";
import { COLUMNS, lineOf, lineOfRow, type Row, type Rows, TABLES, type Table } from "./rows.ts";
import type { Report } from "./world.ts";

export const LEVELS = ["READ COMMITTED", "REPEATABLE READ", "SERIALIZABLE"] as const;

export class OwnRows {
  readonly #owner: number;
  readonly #ids: Ids;
  readonly #report: Report;
  readonly #progress: { acknowledged: number; begun: number };
  #rows: Rows = new Map();
  /** The rows after the transaction whose answer was lost. */
  #open: Rows | undefined;

  constructor(owner: number, ids: Ids, report: Report, progress: { acknowledged: number; begun: number }) {
    this.#owner = owner;
    this.#ids = ids;
    this.#report = report;
    this.#progress = progress;
  }

  /** One transaction: a statement of its own, several in one message, or a block with savepoints. Throws Refused and Lost. */
  async change(connection: Connection, random: Random): Promise<void> {
    const draft = new Draft(this.#rows);
    const choice = random.integer(10);
    if (choice < 4) return this.#alone(connection, random, draft);
    if (choice < 6) return this.#together(connection, random, draft);
    return this.#block(connection, random, draft);
  }

  /** Settles what was left open, then compares all rows with the model. To be called first on every new connection. */
  async compare(connection: Connection): Promise<void> {
    const { rows } = await connection.query(`SELECT n FROM progress WHERE client = ${this.#owner}`);
    const n = Number(rows[0]?.[0] ?? 0);
    if (this.#open && n === this.#progress.begun) this.#accept(this.#open);
    this.#open = undefined;
    this.#progress.begun = this.#progress.acknowledged;
    if (n !== this.#progress.acknowledged) {
      this.#report.fault(
        "progress",
        `client ${this.#owner} is at ${n}, not at ${this.#progress.acknowledged}`,
      );
    }
    for (const table of TABLES) await this.#compareRows(connection, this.#rows, table);
  }

  #accept(rows: Rows): void {
    this.#rows = rows;
    this.#open = undefined;
    this.#progress.acknowledged = this.#progress.begun;
    this.#report.count("transactions");
  }

  async #compareRows(connection: Connection, expected: Rows, table: Table, where = "true"): Promise<void> {
    const sql = `SELECT ${COLUMNS} FROM ${table} WHERE owner = ${this.#owner} AND ${where}`;
    const found = new Set((await connection.query(sql)).rows.map((columns) => lineOf(table, columns)));
    const lines = Array.from(expected.values())
      .filter((row) => row.table === table)
      .map(lineOfRow);
    const missing = lines.filter((line) => !found.delete(line));
    if (missing.length + found.size > 0) {
      const examples = `${missing.slice(0, 2).join("\n")}\nfound ${Array.from(found).slice(0, 2).join("\n")}`;
      this.#report.fault("rows", `${sql}: ${missing.length} missing, ${found.size} too many\n${examples}`);
    }
  }

  #progressOf(draft: Draft): string {
    this.#progress.begun = this.#progress.acknowledged + 1;
    this.#open = draft.rows;
    return progressSql(this.#owner, this.#progress.begun, sumOfRows(draft.rows));
  }

  /** A refusal says that nothing happened; the loss of the connection leaves it open. */
  async #settle(draft: Draft, work: () => Promise<void>): Promise<void> {
    try {
      await work();
      this.#accept(draft.rows);
    } catch (error) {
      if (!(error instanceof Lost)) {
        this.#open = undefined;
        this.#progress.begun = this.#progress.acknowledged;
      }
      throw error;
    }
  }

  #expectCount(sql: string, count: number | null, expected: number): void {
    if (count === expected) return;
    this.#report.fault("row count", `${sql.slice(0, 300)}: ${count}, not ${expected}`);
  }

  /** One statement, with the progress in the same: it commits by itself. */
  async #alone(connection: Connection, random: Random, draft: Draft): Promise<void> {
    const { work, rowCount } = statement(random, draft, random.pick(TABLES), this.#owner, this.#ids);
    if (!("sql" in work)) return;
    const sql = `WITH changed AS (${work.sql} RETURNING 1), noted AS (${this.#progressOf(draft)} RETURNING 1)
      SELECT (SELECT count(*) FROM changed), (SELECT count(*) FROM noted)`;
    await this.#settle(draft, async () => {
      const { rows } = await connection.query(sql, random.chance(0.5) ? [] : undefined);
      this.#expectCount(sql, Number(rows[0]?.[0]), rowCount);
      this.#expectCount("progress", Number(rows[0]?.[1]), 1);
    });
  }

  /** Several statements in one message: PostgreSQL's implicit transaction. */
  async #together(connection: Connection, random: Random, draft: Draft): Promise<void> {
    const statements: string[] = [];
    for (let i = 0; i <= random.integer(3); i++) {
      const { work } = statement(random, draft, random.pick(TABLES), this.#owner, this.#ids);
      if ("sql" in work) statements.push(work.sql);
    }
    statements.push(this.#progressOf(draft));
    await this.#settle(draft, async () => {
      const { rowCount } = await connection.query(statements.join(";\n"));
      this.#expectCount("progress", rowCount, 1);
    });
  }

  async #block(connection: Connection, random: Random, outer: Draft): Promise<void> {
    await connection.query(`BEGIN ISOLATION LEVEL ${random.pick(LEVELS)}`);
    let draft = outer;
    for (let i = 0; i <= random.integer(5); i++) {
      const table = random.pick(TABLES);
      const choice = random.integer(10);
      if (choice < 3) await this.#undone(connection, random, draft, table);
      else if (choice < 4) await this.#look(connection, random, draft, table);
      else if (choice < 5) {
        const inner = new Draft(draft.rows);
        await connection.query("SAVEPOINT kept");
        await this.#write(connection, random, inner, table);
        await connection.query("RELEASE SAVEPOINT kept");
        draft = inner;
      } else await this.#write(connection, random, draft, table);
    }
    if (random.chance(0.2)) {
      await connection.query("ROLLBACK");
      return;
    }
    const sql = this.#progressOf(draft);
    await this.#settle(draft, async () => {
      const { rowCount } = await connection.query(sql);
      this.#expectCount("progress", rowCount, 1);
      await connection.query("COMMIT");
    });
  }

  async #write(connection: Connection, random: Random, draft: Draft, table: Table): Promise<void> {
    const make = random.chance(0.25) ? copy : statement;
    const { work, rowCount }: Change = make(random, draft, table, this.#owner, this.#ids);
    if ("sql" in work) this.#expectCount(work.sql, (await connection.query(work.sql)).rowCount, rowCount);
    else this.#expectCount(work.target, await connection.copy(work.target, work.data), rowCount);
  }

  /** What a rolled back savepoint covered leaves no trace, also after the transaction's own later reads. */
  async #undone(connection: Connection, random: Random, draft: Draft, table: Table): Promise<void> {
    await connection.query("SAVEPOINT undone");
    await this.#write(connection, random, new Draft(draft.rows), table);
    const [row] = draft.in(table);
    if (row && random.chance(0.3)) await refuseDuplicate(connection, row, this.#owner);
    await connection.query("ROLLBACK TO SAVEPOINT undone");
    await this.#look(connection, random, draft, table);
  }

  /** Reads own rows by a predicate that an index may answer, locked or not. */
  async #look(connection: Connection, random: Random, draft: Draft, table: Table): Promise<void> {
    const cat = random.integer(10);
    const lock = random.pick(["", "", " FOR UPDATE", " FOR SHARE", " FOR NO KEY UPDATE"]);
    const sql = `SELECT id FROM ${table} WHERE cat = ${cat} AND owner = ${this.#owner}${lock}`;
    const found = (await connection.query(sql)).rows.map(([id]) => Number(id)).toSorted((a, b) => a - b);
    const expected = draft.in(table).filter((row) => row.cat === cat);
    const ids = expected.map((row) => row.id).toSorted((a, b) => a - b);
    if (found.join() !== ids.join()) {
      this.#report.fault(
        "own reads",
        `${sql}: found ${found.join().slice(0, 300)}, not ${ids.join().slice(0, 300)}`,
      );
    }
  }
}

const UNIQUE_VIOLATION = "23505";

/** Fails a statement; its transaction can only go back to a savepoint then. */
async function refuseDuplicate(connection: Connection, row: Row, owner: number): Promise<void> {
  const sql = `INSERT INTO ${row.table} VALUES (${row.id}, ${owner}), (${row.id}, ${owner})`;
  try {
    await connection.query(sql, undefined, [UNIQUE_VIOLATION]);
  } catch (error) {
    if (!(error instanceof Refused) || error.code !== UNIQUE_VIOLATION) throw error;
  }
}
