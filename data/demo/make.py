#!/usr/bin/env python3
"""Cuts the demo's 2,000 rows out of a known-item collection of Debian package descriptions with sentence embeddings.

usage: make.py COLLECTION_DIR      (rows.jsonl.gz, minilm-384.f16.npy, queries.tsv, queries-minilm-384.f16.npy)
Writes beside itself: packages.jsonl.gz (one object a row), embeddings.f16 (rows x 384 float16, little-endian, unit length,
same order), queries.jsonl (text, embedding as base64 of 384 float16).
"""
import base64, gzip, json, os, sys
import numpy as np

ROWS = 2000
here, source = os.path.dirname(os.path.abspath(__file__)), sys.argv[1]
rows = [json.loads(line) for line in gzip.open(os.path.join(source, "rows.jsonl.gz"), "rt")]
vectors = np.load(os.path.join(source, "minilm-384.f16.npy"))
queries = [line.rstrip("\n").split("\t", 1) for line in open(os.path.join(source, "queries.tsv"))]
query_vectors = np.load(os.path.join(source, "queries-minilm-384.f16.npy"))

# Every tenth row: all sections, the whole alphabet.
pick = list(range(0, len(rows), len(rows) // ROWS))[:ROWS]
keep = {rows[i]["id"] for i in pick}
with gzip.GzipFile(os.path.join(here, "packages.jsonl.gz"), "wb", mtime=0, compresslevel=9) as out:
    for i in pick:
        r = rows[i]
        item = {k: r[k] for k in ("id", "package", "section", "priority", "size_kb", "maintainer", "synopsis")}
        item["body"] = r["body"] or r["synopsis"]
        out.write((json.dumps(item, ensure_ascii=False) + "\n").encode())
vectors[pick].astype("<f2").tofile(os.path.join(here, "embeddings.f16"))
with open(os.path.join(here, "queries.jsonl"), "w") as out:
    for (wanted, text), vector in zip(queries, query_vectors):
        if int(wanted) in keep:
            out.write(json.dumps({"text": text, "wanted": int(wanted), "embedding": base64.b64encode(vector.astype("<f2").tobytes()).decode()}) + "\n")
