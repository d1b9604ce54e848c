"""The rows of a shard, as the inputs have them."""

import itertools
from collections.abc import Generator
from contextlib import closing

from bothways.files import ReadProgress, Row
from bothways.files.kept_cells import NO_CELLS, KeptCells, KeptTypes
from bothways.files.parts import BadRow, read_part
from bothways.jobs.job import EncodingJob
from bothways.jobs.plan import Shard

__all__ = ["kept_types", "read_shard"]

_TYPED_ROWS = 1_000
"""Rows that determine the types of columns of JSON values."""


def read_shard(
    job: EncodingJob, shard: Shard, read_progress: ReadProgress
) -> Generator[Row | BadRow]:
    """The rows of a shard, in order.

    Raises:
        DataFileError: if the input cannot be read.
    """
    planned = job.plan.inputs[shard.input]
    file = job.spec.inputs[shard.input]
    selection, kept_names = planned.columns, None
    if job.spec.columns.keep == "all":
        kept_names = next(each.keep for each in job.plan.inputs if each.rows)
        if file.format in ("jsonl", "json"):  # whose rows may have columns that the first lacks
            selection = selection._replace(keep="all")
    return read_part(
        file._replace(part=shard.part),
        shard.rows,
        kind=job.spec.kind,
        selection=selection,
        on_missing=job.spec.on_missing,
        number=planned.number,
        read_progress=read_progress,
        kept_names=kept_names,
    )


def kept_types(job: EncodingJob) -> KeptTypes:
    """The types of copied columns in all parts, as the first rows of the job have them.

    Raises:
        DataFileError: if the first values of a column have different types.
    """
    if not job.spec.columns.keep:
        return KeptTypes(NO_CELLS)
    first: list[Row] = []
    for shard in job.plan.shards:
        if len(first) == _TYPED_ROWS:
            break
        with closing(read_shard(job, shard, ReadProgress([]))) as rows:
            good = (row for row in rows if isinstance(row, Row))
            first += itertools.islice(good, _TYPED_ROWS - len(first))
    return KeptTypes(KeptCells.of(first))
