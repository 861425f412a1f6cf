#!/usr/bin/env python3
"""Scores of tantivy (https://github.com/quickwit-oss/tantivy, PyPI package `tantivy`) on our own tokens.

usage: record.py                      records parity.json.gz for the demo's rows (data/demo), beside this script
       record.py COLLECTION_DIR       compares with us on a whole known-item collection (rows.jsonl.gz, queries.tsv)

Needs cargo and the `tantivy` package (0.27.0 was used). Both sides get the same tokens: ours, from the `tokens` example of
omen-text with the english analyzer, which tantivy splits at spaces. Documents without tokens stay out, because Lucene counts
only documents that have the field and we follow Lucene. A query is an OR of one clause for each of its tokens, repeats
included; tantivy's own query parser would drop repeats. tantivy's scores are ours times k1 + 1 = 2.2.
"""
import gzip, json, math, os, subprocess, sys, tempfile, time
import tantivy

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
K = 10


def example(name, *arguments, text=None):
    command = ["cargo", "run", "-q", "--release", "-p", "omen-text", "--example", name, "--", *arguments]
    run = subprocess.run(command, input=text, cwd=os.path.join(ROOT, "native"), check=True, stdout=subprocess.PIPE, text=True)
    return run.stdout.splitlines()


def one_line(text):
    return " ".join((text or "").split())


def demo():
    """Bodies of the demo's rows; every second synopsis is a query for its own row."""
    with gzip.open(os.path.join(ROOT, "data/demo/packages.jsonl.gz"), "rt") as lines:
        rows = [json.loads(line) for line in lines]
    wanted = list(range(0, len(rows), 2))
    return [one_line(r["body"]) for r in rows], [one_line(rows[i]["synopsis"]) for i in wanted], wanted


def collection(folder):
    with gzip.open(os.path.join(folder, "rows.jsonl.gz"), "rt") as lines:
        rows = [json.loads(line) for line in lines]
    place = {row["id"]: at for at, row in enumerate(rows)}
    with open(os.path.join(folder, "queries.tsv")) as lines:
        pairs = [line.rstrip("\n").split("\t", 1) for line in lines]
    return [one_line(r["body"]) for r in rows], [one_line(q) for _, q in pairs], [place[int(i)] for i, _ in pairs]


def tantivy_hits(texts, queries):
    """For each query tantivy's ten best as (row, score)."""
    builder = tantivy.SchemaBuilder()
    builder.add_unsigned_field("row", stored=True)
    builder.add_text_field("body", stored=False, tokenizer_name="whitespace", index_option="freq")
    schema = builder.build()
    index = tantivy.Index(schema)
    writer = index.writer(heap_size=400_000_000, num_threads=1)
    start = time.process_time()
    for row, tokens in enumerate(example("tokens", "english", text="\n".join(texts) + "\n")):
        if tokens:
            writer.add_document(tantivy.Document(row=row, body=tokens))
    writer.commit()
    writer.wait_merging_threads()
    print(f"tantivy: indexed in {time.process_time() - start:.2f} CPU s", file=sys.stderr)
    index.reload()
    searcher = index.searcher()
    assert searcher.num_segments == 1, "one segment: ties come in row order"
    hits, times = [], []
    for tokens in example("tokens", "english", text="\n".join(queries) + "\n"):
        start = time.perf_counter()
        terms = [tantivy.Query.term_query(schema, "body", token, "freq") for token in tokens.split()]
        query = tantivy.Query.boolean_query([(tantivy.Occur.Should, term) for term in terms])
        found = searcher.search(query, K, count=False).hits
        times.append(time.perf_counter() - start)
        hits.append([(searcher.doc(address)["row"][0], score) for score, address in found])
    times.sort()
    print(f"tantivy: median {times[len(times) // 2] * 1e3:.3f} ms, 95th {times[len(times) * 95 // 100] * 1e3:.3f} ms, "
          "one run, building the query in Python included", file=sys.stderr)
    return hits


def ndcg(hits, wanted):
    """nDCG@10 with the one wanted row as the only relevant one."""
    gains = (1 / math.log2(rank + 2) for found, row in zip(hits, wanted) for rank, (hit, _) in enumerate(found) if hit == row)
    return sum(gains) / len(wanted)


def record():
    texts, queries, wanted = demo()
    hits = tantivy_hits(texts, queries)
    content = {
        "tantivy": "0.27.0", "analyzer": "english", "ndcg10": round(ndcg(hits, wanted), 6), "queries": queries,
        "wanted": wanted, "rows": [[row for row, _ in found] for found in hits],
        "scores": [[float(f"{score:.8g}") for _, score in found] for found in hits],
    }
    with gzip.GzipFile(os.path.join(HERE, "parity.json.gz"), "wb", mtime=0, compresslevel=9) as out:
        out.write(json.dumps(content, separators=(",", ":"), ensure_ascii=False).encode())
    print(f"nDCG@10 {content['ndcg10']}")


def compare(folder):
    texts, queries, wanted = collection(folder)
    theirs = tantivy_hits(texts, queries)
    with tempfile.TemporaryDirectory() as temporary:
        paths = [os.path.join(temporary, name) for name in ("texts", "queries")]
        for path, lines in zip(paths, (texts, queries)):
            with open(path, "w") as out:
                out.write("\n".join(lines) + "\n")
        split = [[pair.split(":") for pair in line.split()] for line in example("top10", "english", *paths)]
    ours = [[(int(row), float(score)) for row, score in found] for found in split]
    assert [len(found) for found in ours] == [len(found) for found in theirs]
    pairs = [(a, b) for x, y in zip(ours, theirs) for a, b in zip(x, y)]
    spread = max(abs(b[1] / a[1] / 2.2 - 1) for a, b in pairs)
    same = sum(a[0] == b[0] for a, b in pairs)
    print(f"nDCG@10: ours {ndcg(ours, wanted):.6f}, tantivy {ndcg(theirs, wanted):.6f}; "
          f"{same} of {len(pairs)} places hold the same row; scores agree within {spread:.1e}")


if __name__ == "__main__":
    compare(sys.argv[1]) if len(sys.argv) > 1 else record()
