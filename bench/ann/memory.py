"""Memory of a vector index by quantisation, and what it buys: recall after the stored vectors decided, queries per CPU second.

  python bench/ann/memory.py --curve PROGRAM --set BASE QUERY TRUTH METRIC [--set ...] [--efs 40,100] [--rounds 3]

`--curve` and files as in `compare.py`. Prints a markdown table: bytes a vector takes in graph and codes beside the stored
vector, the same of faiss HNSW16,SQ8 (its file, which holds codes and graph), and recall@10 and queries/s on one thread at each
ef, the least CPU time of the rounds. Needs `pip install numpy faiss-cpu`.
"""

import argparse
import json
import subprocess

import numpy as np

KINDS = ["none", "f16", "sq8", "rabitq", "bq", "pq"]
M, EF_CONSTRUCTION = 16, 200


def faiss_sq8_bytes(base):
    """Bytes a vector takes in faiss; the graph's size does not depend on how well it is built."""
    import faiss

    index = faiss.index_factory(base.shape[1], f"HNSW{M},SQ8")
    index.hnsw.efConstruction = 16
    index.train(base)
    index.add(base)
    return len(faiss.serialize_index(index)) / len(base)


def measure(curve, files, metric, kind, efs, rounds):
    options = [f"metric={metric}", f"m={M}", f"ef_construction={EF_CONSTRUCTION}", f"quantisation={kind}"]
    process = subprocess.Popen(
        [curve, *files, *options], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    build = json.loads(process.stdout.readline())
    points = {}
    for _ in range(rounds):
        for ef in efs:
            process.stdin.write(f"{ef}\n")
            process.stdin.flush()
            line = json.loads(process.stdout.readline())
            known = points.get(ef, (0, np.inf))
            points[ef] = (line["recall"], min(line["us"], known[1]))
    process.stdin.close()
    process.wait()
    return build, points


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--curve", required=True)
    parser.add_argument("--set", nargs=4, action="append", required=True)
    parser.add_argument("--efs", default="40,100")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    efs = [int(ef) for ef in options.efs.split(",")]
    heads = "".join(f" ef {ef}: recall@10 | queries/s |" for ef in efs)
    print(f"| vectors | quantization | graph | codes | with the f32 vector |{heads}")
    print("| --- | --- | --- | --- | --- |" + " --- | --- |" * len(efs))
    for base_file, query, truth, metric in options.set:
        rows, columns = (int(n) for n in np.fromfile(base_file, "<u4", 2))
        for kind in KINDS:
            build, points = measure(
                options.curve, (base_file, query, truth), metric, kind, efs, options.rounds
            )
            graph, codes = build["graph_bytes"], build["code_bytes"]
            cells = "".join(f" {points[ef][0]:.3f} | {1e6 / points[ef][1]:.0f} |" for ef in efs)
            print(
                f"| {rows} x {columns} | {kind} | {graph:.0f} | {codes:.0f} | {graph + codes + 4 * columns:.0f} |{cells}",
                flush=True,
            )
        base = np.fromfile(base_file, "<f4", offset=8).reshape(rows, columns)
        bound = 1.05 * (4 * columns + 4 * 2 * M + 16)
        print(f"| {rows} x {columns} | faiss SQ8 | {faiss_sq8_bytes(base):.0f} in all | | | bound for f32: {bound:.0f} |", flush=True)


if __name__ == "__main__":
    main()
