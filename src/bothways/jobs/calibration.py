"""The ranges of a job whose vectors are stored as int8, from a sample of its rows."""

import itertools
import random
from collections.abc import Iterator
from contextlib import closing
from typing import TYPE_CHECKING

import numpy as np

from bothways.files import ReadProgress, Row
from bothways.jobs.job import EncodingJob
from bothways.jobs.plan import Shard
from bothways.jobs.shard_rows import read_shard
from bothways.streaming.calibration import SAMPLE_ROWS, measure_ranges, sample_rows
from bothways.streaming.memory import ChunkPlan

if TYPE_CHECKING:
    from bothways.encoder import Encoder

__all__ = ["calibrate_job"]

_SAMPLE_SHARDS = 32


def calibrate_job(job: EncodingJob, encoder: "Encoder", plan: ChunkPlan) -> np.ndarray:
    """The ranges, float32 (2, d), of the vectors of a sample of rows.

    The sample depends on the inputs and settings of the job alone.

    Raises:
        DataFileError: if an input cannot be read.
    """
    rows = itertools.chain.from_iterable(_rows(job, shard) for shard in _sample_shards(job))
    return measure_ranges(encoder, sample_rows(rows), job.spec.settings, plan)


def _sample_shards(job: EncodingJob) -> list[Shard]:
    """Shards chosen at random with a fixed seed, in order: 32, or more if these have few rows."""
    shuffled = list(job.plan.shards)
    random.Random(0).shuffle(shuffled)  # noqa: S311
    rows = itertools.accumulate((shard.rows for shard in shuffled), initial=0)
    enough = itertools.takewhile(lambda count: count < SAMPLE_ROWS, rows)
    chosen = shuffled[: max(_SAMPLE_SHARDS, sum(1 for _ in enough))]
    return sorted(chosen, key=lambda shard: shard.shard)


def _rows(job: EncodingJob, shard: Shard) -> Iterator[Row]:
    with closing(read_shard(job, shard, ReadProgress([]))) as rows:
        yield from (row for row in rows if isinstance(row, Row))
