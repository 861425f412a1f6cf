"""CREATE INDEX ... USING hnsw beside pgvector: wall seconds and CPU seconds of the server, same rows, m and ef_construction.

  python bench/ann/create_index.py --base FILE --ours URL --ours-pid PID --pg URL --pg-pid PID [--metric l2|cosine] [--rounds 2]

`--base` is as `compare.py` reads it. The pids are the servers' first processes; CPU is theirs and their children's, so
parallel workers count. Both build with `maintenance_work_mem` of `--memory` and as many threads as they choose; the least of
the rounds counts. REINDEX is measured after CREATE INDEX. Needs `pip install numpy psycopg psutil`.
"""

import argparse
import json
import time

import numpy as np
import psutil
import psycopg

OPCLASS = {"l2": "vector_l2_ops", "cosine": "vector_cosine_ops"}


def cpu_seconds(pid):
    """CPU of a process and its children, those that ended included."""
    first = psutil.Process(pid)
    times = [process.cpu_times() for process in [first, *first.children(recursive=True)]]
    return sum(t.user + t.system for t in times) + sum(t.children_user + t.children_system for t in times[:1])


def load(connection, base):
    connection.execute("DROP TABLE IF EXISTS bench_build")
    connection.execute(f"CREATE TABLE bench_build (id int, v vector({base.shape[1]}))")
    with connection.cursor() as cursor, cursor.copy("COPY bench_build FROM STDIN") as copy:
        for number, row in enumerate(base):
            copy.write_row((number, "[" + ",".join(map(str, row)) + "]"))


def timed(connection, pid, statement):
    cpu, wall = cpu_seconds(pid), time.perf_counter()
    connection.execute(statement)
    return time.perf_counter() - wall, cpu_seconds(pid) - cpu


def main():
    parser = argparse.ArgumentParser()
    for name in ("base", "ours", "pg"):
        parser.add_argument(f"--{name}", required=True)
    for name in ("ours-pid", "pg-pid"):
        parser.add_argument(f"--{name}", type=int, required=True)
    parser.add_argument("--metric", default="l2", choices=list(OPCLASS))
    parser.add_argument("--m", type=int, default=16)
    parser.add_argument("--ef-construction", type=int, default=64)
    parser.add_argument("--memory", default="256MB")
    parser.add_argument("--rounds", type=int, default=2)
    options = parser.parse_args()
    rows, columns = np.fromfile(options.base, "<u4", 2)
    base = np.fromfile(options.base, "<f4", offset=8).reshape(rows, columns)
    create = (
        f"CREATE INDEX bench_build_v ON bench_build USING hnsw (v {OPCLASS[options.metric]}) "
        f"WITH (m = {options.m}, ef_construction = {options.ef_construction})"
    )
    servers = {"ours": (options.ours, options.ours_pid), "pgvector": (options.pg, options.pg_pid)}
    best = {}
    for name, (url, pid) in servers.items():
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("CREATE EXTENSION IF NOT EXISTS vector")
            connection.execute(f"SET maintenance_work_mem = '{options.memory}'")
            load(connection, base)
            for _ in range(options.rounds):
                steps = {"CREATE INDEX": create, "REINDEX": "REINDEX INDEX bench_build_v"}
                for step, statement in steps.items():
                    wall, cpu = timed(connection, pid, statement)
                    known = best.get((step, name), (wall, cpu))
                    best[step, name] = (min(wall, known[0]), min(cpu, known[1]))
                connection.execute("DROP INDEX bench_build_v")
            connection.execute("DROP TABLE bench_build")
    print(f"{rows} x {columns}, {options.metric}, m {options.m}, ef_construction {options.ef_construction}")
    print(f"{'':14}{'wall s':>9}{'CPU s':>9}{'pgvector wall s':>17}{'CPU s':>9}{'wall ratio':>12}{'CPU ratio':>11}")
    for step in ("CREATE INDEX", "REINDEX"):
        (wall, cpu), (other_wall, other_cpu) = best[step, "ours"], best[step, "pgvector"]
        print(
            f"{step:14}{wall:9.2f}{cpu:9.2f}{other_wall:17.2f}{other_cpu:9.2f}"
            f"{other_wall / wall:12.2f}{other_cpu / cpu:11.2f}"
        )
    print(json.dumps({f"{step} {name}": value for (step, name), value in best.items()}))


if __name__ == "__main__":
    main()
