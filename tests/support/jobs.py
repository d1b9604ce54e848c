"""Jobs of a small model, for tests."""

import dataclasses
from pathlib import Path
from typing import Any

from bothways import Encoder
from bothways.files import check_inputs
from bothways.files.columns import ColumnSelection
from bothways.jobs.job import EncodingJob, prepare_job
from bothways.jobs.shards import ShardEncoder
from bothways.jobs.spec import JobSpec
from bothways.jobs.worker import BadLimit, run_worker
from bothways.streaming.memory import ChunkPlan
from bothways.streaming.settings import EncodeSettings, kind_of, origin_of

__all__ = ["JobMaker"]

FEW_ROWS = ChunkPlan(rows=3)
"""Chunks of so few rows that shards have several."""


@dataclasses.dataclass
class JobMaker:
    """Makes and runs jobs over files in a folder."""

    folder: Path
    model: str
    encoder: Encoder

    def spec(self, *inputs: Path, shard_rows: int = 10, **options: Any) -> JobSpec:
        settings = EncodeSettings(on_overflow=options.pop("on_overflow", "truncate"))
        columns = ColumnSelection("text", options.pop("id_column", None), options.pop("keep", ()))
        if inputs[0].suffix in (".txt", ".fasta"):
            columns = ColumnSelection()
        return JobSpec(
            inputs=tuple(check_inputs([str(path) for path in inputs])),
            columns=columns,
            settings=settings,
            origin=origin_of(self.encoder, self.model, settings),
            kind=kind_of(self.encoder),
            shard_rows=shard_rows,
            **options,
        )

    def prepare(self, *inputs: Path, folder: str = "vectors", **options: Any) -> EncodingJob:
        restart = options.pop("restart", False)
        return prepare_job(self.folder / folder, self.spec(*inputs, **options), restart=restart)

    def run(self, job: EncodingJob, **options: Any) -> bool:
        limit = options.pop("limit", BadLimit())
        return run_worker(self.shard_encoder(job), limit=limit, **options)

    def shard_encoder(self, job: EncodingJob) -> ShardEncoder:
        return ShardEncoder(job, self.encoder, FEW_ROWS)
