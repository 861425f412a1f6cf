"""Sparse vectors under an hnsw index beside pgvector: room, CREATE INDEX, and searches by beam width.

  python bench/ann/sparse.py --ours URL --ours-pid PID --pg URL --pg-pid PID [--metric cosine|l2|ip] [--rows 20000]

Rows have 30 to 300 elements of 30,000 dimensions, most of them from the rows' subjects and the others by Zipf's law, as in
learnt sparse embeddings; queries are made alike and have 10 to 60. Room is pg_total_relation_size before and after the index, a
row. CPU is that of the servers' first processes and their children; of searches, the least of the rounds counts. Recall@10
is against what each system answers before it has the index. Needs `pip install numpy psycopg psutil`.
"""

import argparse

import numpy as np
import psycopg
from create_index import cpu_seconds, timed

DIMENSIONS = 30_000
SUBJECTS = 200
OPERATOR = {"cosine": "<=>", "l2": "<->", "ip": "<#>"}


def vectors(random, count, least, most):
    """Texts of `count` sparse vectors with `least` to `most` elements; lengths are even in their logarithm."""
    by_rank = np.random.default_rng(1).permutation(DIMENSIONS)
    zipf = 1 / np.arange(1, DIMENSIONS + 1) ** 0.9
    common = np.cumsum(zipf / zipf.sum())
    subjects = np.random.default_rng(2).integers(0, DIMENSIONS, (SUBJECTS, 400))
    for _ in range(count):
        length = int(np.exp(random.uniform(np.log(least), np.log(most))))
        own = subjects[random.choice(SUBJECTS, 2, replace=False)].ravel()
        of_subject = own[(random.random(length * 3 // 4) ** 2 * len(own)).astype(int)]
        others = by_rank[np.searchsorted(common, random.random(length - len(of_subject)))]
        elements = np.unique(np.concatenate([of_subject, others]))
        values = random.exponential(1.0, len(elements)) + 0.05
        pairs = ",".join(f"{at + 1}:{value:.4f}" for at, value in zip(elements, values))
        yield f"{{{pairs}}}/{DIMENSIONS}"


def size(connection):
    return connection.execute("SELECT pg_total_relation_size('bench_sparse')").fetchone()[0]


def search(connection, pid, statement, queries, rounds):
    """CPU seconds a query, and what was found."""
    best, found = float("inf"), []
    for _ in range(rounds):
        before = cpu_seconds(pid)
        found = [[id for (id,) in connection.execute(statement, (query,), prepare=True)] for query in queries]
        best = min(best, cpu_seconds(pid) - before)
    return best / len(queries), found


def measure(url, pid, rows, queries, options):
    statement = f"SELECT id FROM bench_sparse ORDER BY s {OPERATOR[options.metric]} %s LIMIT 10"
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("CREATE EXTENSION IF NOT EXISTS vector")
        connection.execute("SET maintenance_work_mem = '1GB'")
        connection.execute("DROP TABLE IF EXISTS bench_sparse")
        connection.execute(f"CREATE TABLE bench_sparse (id int, s sparsevec({DIMENSIONS}))")
        with connection.cursor() as cursor, cursor.copy("COPY bench_sparse FROM STDIN") as copy:
            for number, row in enumerate(rows):
                copy.write_row((number, row))
        connection.execute("ANALYZE bench_sparse")
        _, exact = search(connection, pid, statement, queries, 1)
        bare = size(connection)
        wall, cpu = timed(
            connection,
            pid,
            f"CREATE INDEX ON bench_sparse USING hnsw (s sparsevec_{options.metric}_ops) WITH (m = 16, ef_construction = 200)",
        )
        yield "table, bytes a row", bare / len(rows)
        yield "its index, bytes a row", (size(connection) - bare) / len(rows)
        yield "CREATE INDEX, wall s", wall
        yield "CREATE INDEX, CPU s", cpu
        for beam in (20, 40, 80, 160):
            connection.execute(f"SET hnsw.ef_search = {beam}")
            cpu, found = search(connection, pid, statement, queries, options.rounds)
            hits = sum(len(set(a) & set(b)) for a, b in zip(found, exact))
            yield f"ef_search {beam}: recall", hits / sum(map(len, exact))
            yield f"ef_search {beam}: CPU us a query", cpu * 1e6
        connection.execute("DROP TABLE bench_sparse")


def main():
    parser = argparse.ArgumentParser()
    for name in ("ours", "pg"):
        parser.add_argument(f"--{name}", required=True)
        parser.add_argument(f"--{name}-pid", type=int, required=True)
    parser.add_argument("--metric", default="cosine", choices=list(OPERATOR))
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--queries", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    random = np.random.default_rng(7)
    rows = list(vectors(random, options.rows, 30, 300))
    queries = list(vectors(random, options.queries, 10, 60))
    print(f"{options.rows} rows of {np.mean([row.count(':') for row in rows]):.0f} elements, {options.metric}")
    systems = [measure(url, pid, rows, queries, options) for url, pid in ((options.ours, options.ours_pid), (options.pg, options.pg_pid))]
    for (name, ours), (_, other) in zip(*systems):
        print(f"{name:34}{ours:12.3f}{other:12.3f}{ours / other:9.2f}x")


if __name__ == "__main__":
    main()
