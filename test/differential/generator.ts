// Random joins with random conditions over two small tables with NULLs: what outer-join simplification, push-down, semi joins
// and join order have to leave alone. The same seed gives the same statements.

export const SCHEMA: readonly string[] = [
  "create table t (a int primary key, b text, c bigint)",
  "create table u (id int primary key, a int, note text)",
  "insert into t select g, 'b' || (g % 7), g * 10 from generate_series(1, 60) g",
  "insert into u select g, case when g % 9 = 0 then null else (g * 7) % 70 end, case when g % 5 = 0 then null else 'n' || (g % 4) end from generate_series(1, 80) g",
  "create index u_a_idx on u (a)",
];

const TABLES: Readonly<Record<string, { readonly table: string; readonly columns: readonly string[] }>> = {
  t: { table: "t", columns: ["a", "c"] },
  u: { table: "u", columns: ["id", "a"] },
  t3: { table: "t", columns: ["a", "c"] },
  u2: { table: "u", columns: ["id", "a"] },
};

export function generate(seed: number, count: number): readonly string[] {
  const generator = new Generator(seed);
  return Array.from({ length: count }, () => generator.statement());
}

class Generator {
  #state: number;

  constructor(seed: number) {
    this.#state = seed;
  }

  /** [0, 1): a 32-bit linear congruential generator, enough to vary texts. */
  #random(): number {
    this.#state = (Math.imul(this.#state, 1_664_525) + 1_013_904_223) >>> 0;
    return this.#state / 2 ** 32;
  }

  #below(limit: number): number {
    return Math.floor(this.#random() * limit);
  }

  #pick<T>(items: readonly T[]): T {
    return items[this.#below(items.length)] as T;
  }

  #column(aliases: readonly string[]): string {
    const alias = this.#pick(aliases);
    return `${alias}.${this.#pick(TABLES[alias]?.columns ?? [])}`;
  }

  statement(): string {
    const aliases = Object.keys(TABLES)
      .map((alias) => ({ alias, order: this.#random() }))
      .sort((a, b) => a.order - b.order)
      .slice(0, 1 + this.#below(4))
      .map(({ alias }) => alias);
    const [first = "t", ...rest] = aliases;
    const used = [first];
    let from = `${TABLES[first]?.table} ${first}`;
    for (const alias of rest) from += this.#join(alias, used);
    const where =
      this.#random() < 0.8
        ? ` where ${this.#condition(used, 0)}${this.#random() < 0.5 ? ` and ${this.#condition(used, 0)}` : ""}`
        : "";
    if (this.#random() < 0.3) {
      return `select ${this.#column(used)} as g, count(*) as n from ${from}${where} group by 1 order by 1 limit 20`;
    }
    const sums = [0, 1].map(
      (i) => `count(${this.#column(used)}) as c${i}, sum(${this.#column(used)}) as s${i}`,
    );
    return `select count(*) as n, ${sums.join(", ")} from ${from}${where}`;
  }

  #join(alias: string, used: string[]): string {
    const kind = this.#pick(["join", "left join", "left join", "right join", "full join", "cross join"]);
    const { table, columns } = TABLES[alias] ?? { table: "t", columns: ["a"] };
    if (kind === "cross join") {
      used.push(alias);
      return ` cross join (select * from ${table} where ${columns[0]} < 12) ${alias}`;
    }
    const equality = `${alias}.${this.#pick(columns)} = ${this.#column(used)}`;
    const extra =
      kind !== "full join" && this.#random() < 0.4
        ? ` and ${this.#condition([alias, used[0] as string], 1)}`
        : "";
    used.push(alias);
    return ` ${kind} ${table} ${alias} on ${equality}${extra}`;
  }

  #condition(aliases: readonly string[], depth: number): string {
    const column = this.#column(aliases);
    const r = this.#random();
    if (r < 0.3) return `${column} ${this.#pick(["=", "<", ">", "<>", ">="])} ${this.#below(60)}`;
    if (r < 0.45) return `${column} ${this.#pick(["=", "=", "<"])} ${this.#column(aliases)}`;
    if (r < 0.52) return `${column} is ${this.#pick(["", "not "])}null`;
    if (r < 0.6) return `${column} in (${this.#below(50)}, ${this.#below(50)}, ${this.#below(50)})`;
    if (depth < 2 && r < 0.72) {
      return `(${this.#condition(aliases, depth + 1)} ${this.#pick(["and", "or"])} ${this.#condition(aliases, depth + 1)})`;
    }
    if (depth < 2 && r < 0.76) return `not (${this.#condition(aliases, depth + 1)})`;
    if (depth < 1 && r < 0.84) {
      return `${this.#pick(["", "not "])}exists (select 1 from u z where z.a = ${column} and z.id < ${5 + this.#below(75)})`;
    }
    if (depth < 1 && r < 0.92) {
      return `${column} ${this.#pick(["in", "not in"])} (select z.a from t z where z.a < ${5 + this.#below(45)} and z.c > ${this.#below(100)})`;
    }
    if (depth < 1 && r < 0.96)
      return `(select count(*) from u z where z.a = ${column}) ${this.#pick(["=", ">"])} ${this.#below(3)}`;
    return `coalesce(${column}, 5) < ${this.#below(60)}`;
  }
}
