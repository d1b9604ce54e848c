"""The ranges of a job whose vectors are stored as int8, from a sample of its rows."""

import itertools
import random
from collections.abc import Iterator
from contextlib import closing
from typing import TYPE_CHECKING

import numpy as np

from bothways.files import ReadProgress, Row
from bothways.jobs.job import EncodingJob
from bothways.jobs.shard_rows import read_shard
from bothways.streaming.calibration import measure_ranges, sample_rows
from bothways.streaming.memory import ChunkPlan

if TYPE_CHECKING:
    from bothways.encoder import Encoder

__all__ = ["calibrate_job"]

_SAMPLE_SHARDS = 32


def calibrate_job(job: EncodingJob, encoder: "Encoder", plan: ChunkPlan) -> np.ndarray:
    """The ranges, float32 (2, d), of vectors of a sample of rows of up to 32 shards.

    The sample depends on the inputs and settings of the job alone.

    Raises:
        DataFileError: if an input cannot be read.
    """
    numbers = range(len(job.plan.shards))
    chosen = random.Random(0).sample(numbers, min(_SAMPLE_SHARDS, len(numbers)))  # noqa: S311
    rows = itertools.chain.from_iterable(_rows(job, number) for number in sorted(chosen))
    return measure_ranges(encoder, sample_rows(rows), job.spec.settings, plan)


def _rows(job: EncodingJob, number: int) -> Iterator[Row]:
    with closing(read_shard(job, job.plan.shards[number], ReadProgress([]))) as rows:
        yield from (row for row in rows if isinstance(row, Row))
