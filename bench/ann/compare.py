"""Our graph beside hnswlib, faiss and usearch on one data set, one thread, in turns.

  python bench/ann/compare.py --curve <program> --base B --query Q --truth T [--metric l2|ip] [--libs ...] [--rounds 3]

`--curve` is the example program of the crate omen-hnsw (`cargo build --release -p omen-hnsw --example curve`); files are
as it reads them (`u32` rows, `u32` columns, then values). Needs `pip install numpy hnswlib faiss-cpu usearch`.

Machines are not of constant speed, so every library is asked for one ef, then for the next ef, in several rounds, and
the least CPU time of each point counts. Figures at a recall come from a least-squares parabola of log time and of
logit recall over log ef. A result as near as the true tenth counts as right. Prints a table and one JSON line.
"""

import argparse
import json
import math
import subprocess
import time

import numpy as np

EFS = [10, 14, 20, 30, 40, 60, 80, 120, 160, 240, 320, 480]
K = 10
M, EF_CONSTRUCTION = 16, 200


def read(path, kind):
    rows, columns = np.fromfile(path, "<u4", 2)
    return np.fromfile(path, kind, offset=8).reshape(rows, columns)


class Library:
    """A built index: `search(ef)` answers all queries with a matrix of row numbers."""

    def __init__(self, name, build):
        start = time.process_time()
        self.name, self.search = name, build()
        self.rate = 0.0
        self.seconds = time.process_time() - start


def hnswlib_index(base, query, metric):
    import hnswlib

    index = hnswlib.Index(space=metric, dim=base.shape[1])
    index.init_index(max_elements=len(base), ef_construction=EF_CONSTRUCTION, M=M)
    index.set_num_threads(1)
    index.add_items(base, np.arange(len(base)))

    def search(ef):
        index.set_ef(ef)
        return index.knn_query(query, k=K)[0]

    return search


def faiss_index(base, query, metric, kind):
    import faiss

    faiss.omp_set_num_threads(1)
    measure = faiss.METRIC_L2 if metric == "l2" else faiss.METRIC_INNER_PRODUCT
    index = faiss.index_factory(base.shape[1], f"HNSW{M},{kind}", measure)
    index.hnsw.efConstruction = EF_CONSTRUCTION
    index.train(base)
    index.add(base)

    def search(ef):
        index.hnsw.efSearch = ef
        return index.search(query, K)[1]

    return search


def usearch_index(base, query, metric, kind):
    from usearch.index import Index

    measure = "l2sq" if metric == "l2" else "ip"
    index = Index(
        ndim=base.shape[1], metric=measure, dtype=kind, connectivity=M, expansion_add=EF_CONSTRUCTION
    )
    index.add(np.arange(len(base), dtype=np.uint64), base, threads=1)

    def search(ef):
        index.expansion_search = ef
        return index.search(query, K, threads=1).keys

    return search


class Ours:
    """The example program, asked line by line."""

    def __init__(self, name, arguments):
        self.name = name
        self.process = subprocess.Popen(
            arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.build = json.loads(self.process.stdout.readline())
        self.seconds = self.build["cpu_s"]

    def point(self, ef):
        self.process.stdin.write(f"{ef}\n")
        self.process.stdin.flush()
        line = json.loads(self.process.stdout.readline())
        return line["recall"], line["us"]


def recall_of(found, base, query, truth, metric):
    """The share of right answers; ties at the tenth place count."""

    def distances(numbers):
        rows = base[numbers]
        if metric == "l2":
            return ((rows - query[:, None, :]) ** 2).sum(2)
        return 1 - np.einsum("qkd,qd->qk", rows, query)

    limit = distances(truth[:, K - 1 : K].astype(np.int64))
    slack = 1e-6 * np.maximum(np.abs(limit), 1e-3)
    return float((distances(np.asarray(found, np.int64)) <= limit + slack).mean())


def at_recall(points, wanted):
    """CPU microseconds at a recall, from {ef: (recall, us)}; None outside the curve."""
    efs = sorted(points)
    if not points[efs[0]][0] <= wanted <= max(recall for recall, _ in points.values()):
        return None
    x = np.log(efs)
    time_fit = np.polyfit(x, [math.log(points[ef][1]) for ef in efs], 2)
    # Recall by interpolation between neighbours: it does not wobble.
    recalls = np.maximum.accumulate([points[ef][0] for ef in efs])
    logit = np.log((recalls + 1e-5) / (1 - recalls + 1e-5))
    place = np.interp(math.log(wanted / (1 - wanted)), logit, x)
    return float(np.exp(np.polyval(time_fit, place)))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--curve", required=True)
    for name in ("base", "query", "truth"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--metric", default="l2", choices=["l2", "ip"])
    parser.add_argument("--libs", default="hnswlib,faiss-flat,faiss-sq8,usearch")
    parser.add_argument("--ours", default="none,sq8", help="quantisation[:builder] of our runs")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    base, query = read(options.base, "<f4"), read(options.query, "<f4")
    truth = read(options.truth, "<u4")
    metric = options.metric

    builders = {
        "hnswlib": lambda: hnswlib_index(base, query, metric),
        "faiss-flat": lambda: faiss_index(base, query, metric, "Flat"),
        "faiss-sq8": lambda: faiss_index(base, query, metric, "SQ8"),
        "usearch": lambda: usearch_index(base, query, metric, "f32"),
    }
    libraries = [Library(name, builders[name]) for name in options.libs.split(",") if name]
    files = [options.curve, options.base, options.query, options.truth, f"metric={metric}"]
    for kind in options.ours.split(","):
        quantisation, _, builder = kind.partition(":")
        extra = [f"quantisation={quantisation}", f"m={M}", f"ef_construction={EF_CONSTRUCTION}"]
        extra += [f"builder={builder}"] if builder else []
        libraries.append(Ours(f"ours-{kind}", files + extra))

    curves = {library.name: {} for library in libraries}
    for _ in range(options.rounds):
        for ef in EFS:
            for library in libraries:
                if isinstance(library, Ours):
                    recall, us = library.point(ef)
                else:
                    start = time.process_time()
                    found = library.search(ef)
                    us = (time.process_time() - start) * 1e6 / len(query)
                    known = curves[library.name].get(ef)
                    recall = known[0] if known else recall_of(found, base, query, truth, metric)
                known = curves[library.name].get(ef, (recall, math.inf))
                curves[library.name][ef] = (recall, min(us, known[1]))

    reference = libraries[0]
    base_times = {wanted: at_recall(curves[reference.name], wanted) for wanted in (0.95, 0.99)}
    print(f"{len(base)} x {base.shape[1]}, {metric}; ratios to {reference.name}")
    print(f"{'library':24}{'vectors/CPU s':>14}{'ratio':>7}{'us @.95':>9}{'ratio':>7}{'us @.99':>9}{'ratio':>7}{'best':>8}")
    report = {}
    for library in libraries:
        curve = curves[library.name]
        row = {"vectors_per_cpu_s": len(base) / library.seconds, "curve": curve}
        line = f"{library.name:24}{row['vectors_per_cpu_s']:14.0f}{reference.seconds / library.seconds:7.2f}"
        for wanted, least in base_times.items():
            us = at_recall(curve, wanted)
            row[f"us@{wanted}"] = us
            ratio = us / least if us and least else None
            line += f"{us:9.1f}" if us else f"{'-':>9}"
            line += f"{ratio:7.2f}" if ratio else f"{'-':>7}"
        line += f"{max(recall for recall, _ in curve.values()):8.4f}"
        print(line)
        report[library.name] = row
    print(json.dumps(report))


if __name__ == "__main__":
    main()
