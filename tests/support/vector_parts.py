"""Parquet files of clustered vectors."""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np

from bothways.files import Origin, VectorBatch, open_vector_output

__all__ = ["ORIGIN", "clustered", "write_part"]

ORIGIN = Origin(
    model="minilm",
    fingerprint="ab" * 32,
    pooling="mean",
    normalization="l2",
    dimensions=70,
    precision="fp32",
    prompt="",
    version="0.1.0",
)


def clustered(rows: int, seed: int) -> np.ndarray:
    """Vectors in 20 clusters; their dimensions do not fill the words of their signs."""
    rng = np.random.default_rng(seed)
    centers = np.random.default_rng(0).standard_normal((20, 70))
    noise = 0.7 * rng.standard_normal((rows, 70))
    return np.asarray(centers[rng.integers(0, 20, rows)] + noise, np.float32)


def write_part(
    path: Path, vectors: np.ndarray, ranges: np.ndarray | None = None, **fields: Any
) -> None:
    """Write vectors with the ids PART/0, PART/1, ... fields: of the origin, to replace."""
    count = len(vectors)
    with open_vector_output(str(path), overwrite=True) as output:
        writer = output.start(dataclasses.replace(ORIGIN, **fields), ranges)
        ids = [f"{path.stem}/{row}" for row in range(count)]
        zeros = np.zeros(count, np.int64)
        writer.write(VectorBatch(ids, [None] * count, vectors, zeros, zeros, zeros > 0))
