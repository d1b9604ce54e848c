"""Noticing equal ids of rows, in bounded memory."""

import contextlib
import itertools
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from bothways.cli.console import warn
from bothways.errors import DataFileError

if TYPE_CHECKING:
    from bothways.files import Row
    from bothways.jobs.job import EncodingJob
    from bothways.jobs.plan import Shard

__all__ = ["IdWatch", "JobIdWatch"]

MAX_IDS = 50_000
"""Ids that are remembered, in about 10 MB: a later row is compared with these."""


class IdWatch:
    """Compares the id of each row with the first `MAX_IDS` ids of the input.

    Ids are compared by their 64-bit hash: a false warning has a probability of about 1e-7 in ten
    million rows.
    """

    def __init__(self) -> None:
        self._places: dict[int, tuple[int, int]] = {}  # hash: index of the file, and row
        self._files: dict[str, int] = {}  # name: index
        self._count = 0
        self._first = ""

    def watch(self, rows: "Iterable[Row]") -> "Iterator[Row]":
        """Yield the rows unchanged."""
        for row in rows:
            if not row.is_numbered:
                earlier = self._remember(row)
                if earlier is not None:
                    self._count += 1
                    self._first = self._first or self._describe(row, earlier)
            yield row

    def remember(self, rows: "Iterable[Row]") -> None:
        """Remember the ids of rows that are not watched."""
        for row in rows:
            if not row.is_numbered:
                self._remember(row)

    def _remember(self, row: "Row") -> tuple[int, int] | None:
        """Remember the id of a row; the place of another row that has it, if there is one."""
        key = hash(row.id)
        place = self._files.setdefault(row.place.file, len(self._files)), row.place.row
        earlier = self._places.get(key)
        if earlier is None:
            if len(self._places) < MAX_IDS:
                self._places[key] = place
            return None
        return None if earlier == place else earlier

    def _describe(self, row: "Row", earlier: tuple[int, int]) -> str:
        before = f"{list(self._files)[earlier[0]]}, row {earlier[1]}"
        return f"{row.id!r} in {before} and {row.place.file}, row {row.place.row}"

    def report(self) -> None:
        """Warn of equal ids."""
        if self._count:
            more = len(self._places) == MAX_IDS
            compared = f"; ids after the first {MAX_IDS:,} are not compared" if more else ""
            warn(
                f"rows with the id of an earlier row: {self._count:,}, the first is "
                f"{self._first}{compared}"
            )


class JobIdWatch:
    """Compares the ids of the rows that a run of a job encodes with the first ids of the job.

    The ids of shards before these, which other runs or workers encode, are read from the inputs,
    from at most `MAX_IDS` rows.
    """

    def __init__(self, job: "EncodingJob") -> None:
        self._job, self._ids = job, IdWatch()
        self._shards = 0  # whose ids are remembered
        self._unread = MAX_IDS

    def watch(self, shard: "Shard", rows: "Iterable[Row]") -> "Iterator[Row]":
        """Yield the rows of a shard unchanged."""
        for number in range(self._shards, shard.shard):
            if self._unread == 0:
                break
            with contextlib.suppress(DataFileError):  # of an input that this run does not need
                self._ids.remember(self._rows_of(number))
        self._shards = max(self._shards, shard.shard + 1)
        return self._ids.watch(rows)

    def report(self) -> None:
        """Warn of equal ids."""
        self._ids.report()

    def _rows_of(self, number: int) -> "Iterator[Row]":
        from bothways.files import ReadProgress, Row
        from bothways.jobs.shard_rows import read_shard

        shard = self._job.plan.shards[number]
        with contextlib.closing(read_shard(self._job, shard, ReadProgress([]))) as rows:
            for row in itertools.islice(rows, self._unread):
                self._unread -= 1
                if isinstance(row, Row):
                    yield row
