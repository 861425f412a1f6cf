// `omendb demo`: loads the packages over the wire by COPY and asks five questions of them, each with its answer and the plan
// that gave it. Everything goes through an ordinary PostgreSQL driver; nothing here could not be typed into psql.
import { MultiBar, Presets } from "cli-progress";
import { Client, type QueryResult } from "pg";
import { from as copyFrom } from "pg-copy-streams";
import { once } from "node:events";
import { finished } from "node:stream/promises";
import { type DemoDataset, DIMENSIONS, loadDataset } from "./dataset.ts";

const CREATE_TABLE = `CREATE TABLE packages (
  id int PRIMARY KEY, package text NOT NULL, section text NOT NULL, priority text, size_kb int,
  maintainer text, synopsis text, body text, embedding vector(${DIMENSIONS}))`;

const CREATE_INDEXES = [
  "CREATE INDEX packages_embedding ON packages USING hnsw (embedding vector_cosine_ops)",
  "CREATE INDEX packages_body ON packages USING bm25 (body) WITH (text_config = 'english')",
  "CREATE INDEX packages_section ON packages (section)",
];

interface Question {
  readonly title: string;
  readonly sql: string;
  readonly parameters: readonly unknown[];
}

function questions(dataset: DemoDataset): readonly Question[] {
  const photos = dataset.query("digital photo organizer");
  const synthesizer = dataset.query("Realtime modular synthesizer for ALSA");
  const fuzzing = dataset.query("stress-test programs by giving them random input");
  return [
    {
      title: `kNN: nearest in meaning to "${photos.text}"`,
      sql: "SELECT package, section, round((embedding <=> $1)::numeric, 3) AS distance FROM packages ORDER BY embedding <=> $1 LIMIT 5",
      parameters: [photos.embedding],
    },
    {
      title: `kNN with predicates: "${photos.text}", libraries for Perl under 200 kB`,
      sql: `SELECT package, size_kb, round((embedding <=> $1)::numeric, 3) AS distance FROM packages
       WHERE section = 'perl' AND size_kb < 200 ORDER BY embedding <=> $1 LIMIT 5`,
      parameters: [photos.embedding],
    },
    {
      title: "BM25: packages about audio synthesizers",
      sql: `SELECT package, section, round((body <@> 'audio synthesizer')::numeric, 3) AS score FROM packages
       ORDER BY body <@> 'audio synthesizer' LIMIT 5`,
      parameters: [],
    },
    {
      title: `hybrid: words and meaning of "${synthesizer.text}" fused, not in doc, over 50 kB`,
      sql: `SELECT package, section, size_kb FROM packages WHERE section <> 'doc' AND size_kb > 50
       ORDER BY hybrid_rrf(body <@> $1, embedding <=> $2::vector) LIMIT 5`,
      parameters: [synthesizer.text, synthesizer.embedding],
    },
    {
      title: `join and aggregate: who maintains the 50 packages nearest to "${fuzzing.text}"`,
      sql: `SELECT m.maintainer, count(*) AS near, m.packages AS maintains
       FROM (SELECT maintainer FROM packages ORDER BY embedding <=> $1 LIMIT 50) AS n
       JOIN (SELECT maintainer, count(*) AS packages FROM packages GROUP BY maintainer) AS m ON m.maintainer = n.maintainer
       GROUP BY m.maintainer, m.packages ORDER BY near DESC, m.maintainer LIMIT 5`,
      parameters: [fuzzing.embedding],
    },
  ];
}

/** Runs the demo against `url`; progress goes to `progress` (a terminal shows bars), answers to `out`. */
export async function runDemo(url: string, folder: string, out: NodeJS.WritableStream): Promise<void> {
  const dataset = loadDataset(folder);
  const client = new Client({ connectionString: url });
  await client.connect();
  try {
    await client.query("CREATE EXTENSION IF NOT EXISTS vector");
    await client.query("DROP TABLE IF EXISTS packages");
    await client.query(CREATE_TABLE);
    await load(client, dataset, out);
    for (const sql of CREATE_INDEXES) {
      const started = performance.now();
      await client.query(sql);
      out.write(`${sql}  -- ${seconds(started)}\n`);
    }
    await client.query("ANALYZE packages");
    for (const [index, question] of questions(dataset).entries()) await ask(client, question, index + 1, out);
  } finally {
    await client.end();
  }
}

const seconds = (from: number): string => `${((performance.now() - from) / 1000).toFixed(2)} s`;

async function load(client: Client, dataset: DemoDataset, out: NodeJS.WritableStream): Promise<void> {
  const bars = new MultiBar(
    {
      format: "COPY packages {bar} {value}/{total} rows",
      hideCursor: true,
      stream: process.stderr,
      noTTYOutput: false,
    },
    Presets.shades_classic,
  );
  const bar = bars.create(dataset.rowCount, 0);
  const started = performance.now();
  const stream = client.query(copyFrom("COPY packages FROM STDIN"));
  for (const line of dataset.lines()) {
    if (!stream.write(line)) await once(stream, "drain");
    bar.increment();
  }
  stream.end();
  await finished(stream);
  bars.stop();
  const rate = Math.round(dataset.rowCount / ((performance.now() - started) / 1000));
  out.write(
    `COPY ${dataset.rowCount} rows with ${DIMENSIONS}-dimensional embeddings in ${seconds(started)} (${rate} rows/s)\n`,
  );
}

async function ask(
  client: Client,
  question: Question,
  number: number,
  out: NodeJS.WritableStream,
): Promise<void> {
  out.write(`\n${number}. ${question.title}\n\n${indent(question.sql)}\n\n`);
  const parameters = [...question.parameters];
  const answer = await client.query({ text: question.sql, values: parameters, rowMode: "array" });
  out.write(`${indent(tableText(answer))}\n\n`);
  const plan = await client.query({
    text: `EXPLAIN (ANALYZE) ${question.sql}`,
    values: parameters,
    rowMode: "array",
  });
  out.write(`${indent(plan.rows.map((row) => shorten(String((row as unknown[])[0]))).join("\n"))}\n`);
}

const indent = (text: string): string => text.replace(/^/gm, "   ");

/** A 384-dimensional literal would fill the screen. */
const shorten = (line: string): string => line.replace(/\[(-?[\d.e-]+,-?[\d.e-]+),[^\]]{40,}\]/g, "[$1,...]");

/** Rows as psql shows them, without the frame. */
function tableText(result: QueryResult): string {
  const names = result.fields.map((field) => field.name);
  const rows = result.rows.map((row) =>
    (row as (string | number | null)[]).map((value) => (value === null ? "" : String(value))),
  );
  const widths = names.map((name, column) =>
    Math.max(name.length, ...rows.map((row) => row[column]?.length ?? 0)),
  );
  const line = (cells: readonly string[]): string =>
    cells
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join(" | ")
      .trimEnd();
  return [line(names), widths.map((width) => "-".repeat(width)).join("-+-"), ...rows.map(line)].join("\n");
}
