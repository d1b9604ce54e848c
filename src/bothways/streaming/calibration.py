"""Ranges of int8 vectors: the lowest and highest value of each dimension, over a sample of rows."""

import dataclasses
import random
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from bothways.errors import InputError
from bothways.files import Row
from bothways.model.quantization import quantization_ranges
from bothways.streaming.chunks import checked_size, encode_chunk, split_into_chunks
from bothways.streaming.memory import ChunkPlan
from bothways.streaming.refusals import find_refusal
from bothways.streaming.settings import EncodeSettings

if TYPE_CHECKING:
    from bothways.encoder import Encoder

__all__ = ["SAMPLE_ROWS", "measure_ranges", "sample_rows"]

SAMPLE_ROWS = 4096
"""Rows whose vectors determine the ranges. Of others, the few values beyond these are clipped."""


def sample_rows(rows: Iterable[Row], count: int = SAMPLE_ROWS) -> list[Row]:
    """Up to `count` rows, chosen at random with a fixed seed, in one pass.

    Algorithm R (Vitter, Random Sampling with a Reservoir, 1985).
    """
    generator = random.Random(0)  # noqa: S311
    sample: list[Row] = []
    for number, row in enumerate(rows):
        if number < count:
            sample.append(row)
        elif (place := generator.randrange(number + 1)) < count:
            sample[place] = row
    return sample


def measure_ranges(
    encoder: "Encoder", sample: Sequence[Row], settings: EncodeSettings, plan: ChunkPlan
) -> np.ndarray:
    """The ranges, float32 (2, d), of the vectors of a sample of rows.

    Rows that cannot be encoded do not count. Of fewer than two rows the ranges are symmetric, and
    of none -1 and 1.
    """
    settings = dataclasses.replace(settings, on_unknown="ignore")
    vectors = [
        _encode(encoder, chunk, settings, plan)
        for chunk in split_into_chunks([row for row in sample if _fits(row, plan)], plan)
    ]
    if not vectors:
        empty = encoder.encode([], pooling=settings.pooling, dimensions=settings.dimensions)
        vectors = [np.ones((1, empty.shape[1]), np.float32)]
    every = np.concatenate(vectors)
    return quantization_ranges(np.concatenate([every, -every]) if len(every) < 2 else every)


def _fits(row: Row, plan: ChunkPlan) -> bool:
    try:
        checked_size(row, plan)
    except InputError:
        return False
    return True


def _encode(
    encoder: "Encoder", chunk: list[Row], settings: EncodeSettings, plan: ChunkPlan
) -> np.ndarray:
    def progress(done: int, total: int) -> None:
        """Nothing is shown."""

    try:
        return encode_chunk(encoder, chunk, settings, plan, progress).vectors
    except InputError:
        good = [row for row in chunk if find_refusal(encoder, row.value, settings) is None]
        if len(good) == len(chunk):
            raise
        return encode_chunk(encoder, good, settings, plan, progress).vectors
