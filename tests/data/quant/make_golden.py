#!/usr/bin/env python3
"""Golden data of the quantized types: random blocks, and what the Python package `gguf` makes of them.

pip install gguf; ./make_golden.py writes <type>.bin beside itself: BLOCKS blocks, then their weights as float32.
"""
import pathlib
import numpy as np
from gguf import GGML_QUANT_SIZES, GGMLQuantizationType
from gguf.quants import dequantize

BLOCKS = 3
# Where a block's 16-bit floats are: random bits there would be infinities and NaNs.
HALVES = {"Q4_0": [0], "Q8_0": [0], "Q4_1": [0, 2], "Q5_0": [0], "Q5_1": [0, 2], "Q2_K": [80, 82], "Q3_K": [108],
          "Q4_K": [0, 2], "Q5_K": [0, 2], "Q6_K": [208], "IQ4_NL": [0], "IQ4_XS": [0]}

random = np.random.default_rng(20261123)
for name, places in HALVES.items():
    kind = GGMLQuantizationType[name]
    length, size = GGML_QUANT_SIZES[kind]
    count = BLOCKS if length == 256 else 2 * BLOCKS
    blocks = random.integers(0, 256, (count, size), dtype=np.uint8)
    blocks[1], blocks[2] = 0, 255
    for place in places:
        blocks[:, place:place + 2] = random.normal(0, 0.1, count).astype(np.float16).view(np.uint8).reshape(count, 2)
    blocks[1, places[0]:places[0] + 2] = np.array([6e-8], np.float16).view(np.uint8)  # a subnormal half
    weights = dequantize(blocks, kind).astype(np.float32)
    path = pathlib.Path(__file__).parent / f"{name.lower()}.bin"
    path.write_bytes(blocks.tobytes() + weights.tobytes())
