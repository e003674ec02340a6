#!/usr/bin/env python3
"""Writes quantizer_golden.json: the error of llama.cpp's quantizers on tensors that quantizer_test.cpp makes anew.

For every type and tensor: the root-mean-square error, and with an importance matrix the root of the mean of
importance x squared error. Needs numpy, gguf (dequantizes) and llama-cpp-python (its libggml-base quantizes):

    python3 make_quantizer_golden.py [path of libggml-base.so]
"""
import ctypes
import json
import pathlib
import sys

import numpy as np
from gguf import GGML_QUANT_SIZES, GGMLQuantizationType, GGUFReader
from gguf.quants import dequantize

HERE = pathlib.Path(__file__).parent
TYPES = ["Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0", "Q2_K", "Q3_K", "Q4_K", "Q5_K", "Q6_K", "IQ4_NL", "IQ4_XS"]
ROWS, COLUMNS = 48, 512
BUNDLED = HERE.parents[2] / "models/bundled/base-16m-q8_0.gguf"
BUNDLED_TENSOR = "blk.3.ffn_down.weight"  # the first ROWS x COLUMNS of it


def hashes(seed, count):
    """splitmix64 of 1 ... count times the golden ratio, from `seed`."""
    with np.errstate(over="ignore"):
        z = np.uint64(seed) + np.arange(1, count + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return z ^ (z >> np.uint64(31))


def normals(seed, count):
    """Nearly standard normal: the sum of 12 uniforms, less 6. Exact in double."""
    words = hashes(seed, 3 * count).reshape(count, 3)
    total = np.zeros(count)
    for part in range(4):
        total += ((words >> np.uint64(16 * part)) & np.uint64(0xFFFF)).astype(np.float64).sum(axis=1)
    return total / 65536 - 6


def tensors():
    count = ROWS * COLUMNS
    n = normals(1, count)
    u = (hashes(2, count) >> np.uint64(11)).astype(np.float64) * 2.0**-53
    made = {"normal": 0.02 * n, "heavy": n * (0.01 + (u * u) * (u * u)), "shifted": 0.02 * n + 0.01}
    reader = GGUFReader(BUNDLED)
    found = next(t for t in reader.tensors if t.name == BUNDLED_TENSOR)
    made["bundled"] = dequantize(found.data, found.tensor_type)[:ROWS, :COLUMNS]
    return {name: np.ascontiguousarray(v.reshape(ROWS, COLUMNS), dtype=np.float32) for name, v in made.items()}


def importance():
    """Of each column, 1 on average: a few are large."""
    n = normals(3, COLUMNS)
    values = (0.05 + n * n) * np.where(hashes(4, COLUMNS) % np.uint64(64) == 0, 40.0, 1.0)
    return (values / values.mean()).astype(np.float32)


def library():
    if len(sys.argv) > 1:
        return ctypes.CDLL(sys.argv[1])
    import llama_cpp
    return ctypes.CDLL(str(pathlib.Path(llama_cpp.__file__).parent / "lib/libggml-base.so"))


def floats(array):
    return array.ctypes.data_as(ctypes.POINTER(ctypes.c_float)) if array is not None else None


def main():
    ggml = library()
    ggml.ggml_quantize_chunk.restype = ctypes.c_size_t
    ggml.ggml_quantize_chunk.argtypes = [ctypes.c_int, ctypes.POINTER(ctypes.c_float), ctypes.c_void_p, ctypes.c_int64,
                                         ctypes.c_int64, ctypes.c_int64, ctypes.POINTER(ctypes.c_float)]
    weights = importance()
    golden = {}
    for name in TYPES:
        kind = GGMLQuantizationType[name]
        length, size = GGML_QUANT_SIZES[kind]
        for tensor, x in tensors().items():
            row = golden.setdefault(name, {}).setdefault(tensor, {})
            for key, matrix in (("rmse", None), ("weighted_rmse", weights)):
                blocks = np.zeros((ROWS, COLUMNS // length * size), np.uint8)
                ggml.ggml_quantize_chunk(kind.value, floats(x), blocks.ctypes.data, 0, ROWS, COLUMNS, floats(matrix))
                error = dequantize(blocks, kind).astype(np.float64) - x
                row[key] = float(np.sqrt(np.mean(error**2 * (1 if matrix is None else matrix.astype(np.float64)))))
    (HERE / "quantizer_golden.json").write_text(json.dumps(golden, indent=1) + "\n")


main()
