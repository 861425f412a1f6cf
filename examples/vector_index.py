"""The vector index of OmenDB from Python, without a server: python3 vector_index.py PATH/libomendb.so

Build the library with `cargo build --release --manifest-path native/Cargo.toml -p omen-capi`; native/capi/include/omendb.h
says what each call does.
"""

import array
import ctypes as c
import random
import sys


class Options(c.Structure):
    _fields_ = [(n, c.c_uint32) for n in ("dim", "metric", "element", "quantisation", "m", "ef_construction")]
    _fields_ += [("seed", c.c_uint64)]


class Search(c.Structure):
    _fields_ = [("k", c.c_size_t), ("ef", c.c_uint32), ("rerank", c.c_uint32), ("filter", c.c_void_p)]
    _fields_ += [("filter_bits", c.c_uint64), ("filter_matches", c.c_uint64)]


omen = c.CDLL(sys.argv[1])
omen.omen_last_error.restype = c.c_char_p


def call(name, *arguments):
    if getattr(omen, name)(*arguments) != 0:
        raise RuntimeError(omen.omen_last_error().decode())


dim, count, k = 16, 1000, 5
vectors = array.array("f", (random.random() for _ in range(dim * count)))
index = c.c_void_p()
call("omen_index_create", c.byref(Options(dim=dim)), c.byref(index))
call("omen_index_add", index, c.c_void_p(vectors.buffer_info()[0]), None, c.c_size_t(count), 0)

query = array.array("f", vectors[42 * dim : 43 * dim])
labels, distances, found = (c.c_uint64 * k)(), (c.c_float * k)(), c.c_size_t()
search = Search(k=k, ef=64)
call("omen_index_search", index, c.c_void_p(query.buffer_info()[0]), c.byref(search), labels, distances, c.byref(found))
print(list(zip(labels, distances))[: found.value])
omen.omen_index_close(index)
