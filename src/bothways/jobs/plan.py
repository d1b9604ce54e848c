"""The plan of a job: its inputs cut into shards, in one pass, as a function of them alone."""

import dataclasses
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from bothways.errors import DataFileError
from bothways.files import InputFile, ReadProgress
from bothways.files.columns import ColumnSelection
from bothways.files.formats import FilePart
from bothways.files.parts import divide_file, final_columns
from bothways.jobs.spec import JobSpec

__all__ = ["JobPlan", "PlannedInput", "Shard", "plan_job"]


@dataclasses.dataclass(frozen=True)
class Shard:
    """Consecutive rows of one input, which one part holds.

    input: its index. row: the number of rows before it in the input. bytes: of the input, about.
    line, offset, header_lines: see `FilePart`.
    """

    shard: int
    input: int
    row: int
    rows: int
    line: int
    offset: int | None
    header_lines: int
    bytes: int

    @property
    def part(self) -> FilePart:
        """Where the shard begins."""
        return FilePart(self.row, self.line, self.offset, self.header_lines)


@dataclasses.dataclass(frozen=True)
class PlannedInput:
    """The rows of an input, and its columns as its first row determined them.

    number: of its first row among those of all inputs.
    """

    rows: int
    number: int
    column: str | None
    id_column: str | None
    keep: tuple[str, ...]
    is_final: bool

    @property
    def columns(self) -> ColumnSelection:
        """The columns to read."""
        return ColumnSelection(self.column, self.id_column, self.keep, is_final=self.is_final)


@dataclasses.dataclass(frozen=True)
class JobPlan:
    """The shards of a job, by number, and its inputs."""

    inputs: tuple[PlannedInput, ...]
    shards: tuple[Shard, ...]

    @property
    def rows(self) -> int:
        """Rows of all inputs."""
        return sum(each.rows for each in self.inputs)

    def to_lines(self) -> bytes:
        """The shards as JSON lines."""
        lines = (json.dumps(dataclasses.asdict(shard)) + "\n" for shard in self.shards)
        return "".join(lines).encode()

    def inputs_json(self) -> list[dict[str, Any]]:
        """The inputs as JSON."""
        return [{**dataclasses.asdict(each), "keep": list(each.keep)} for each in self.inputs]

    @classmethod
    def from_json(cls, inputs: list[dict[str, Any]], lines: bytes) -> "JobPlan":
        """Read what `inputs_json` and `to_lines` returned."""
        return cls(
            tuple(PlannedInput(**{**each, "keep": tuple(each["keep"])}) for each in inputs),
            tuple(Shard(**json.loads(line)) for line in lines.splitlines()),
        )


def plan_job(spec: JobSpec, report: Callable[[float], object] = lambda _: None) -> JobPlan:
    """Count the rows of all inputs, and cut them into shards.

    report: called with the completed fraction.

    Raises:
        DataFileError: if an input cannot be read, or lacks a column.
    """
    inputs: list[PlannedInput] = []
    shards: list[Shard] = []
    number = 0
    for index, file in enumerate(spec.inputs):
        selection = final_columns(file, spec.kind, spec.columns, ReadProgress([]))
        divided = divide_file(file, spec.shard_rows, spec.kind, selection)
        keep = () if selection.keep == "all" else tuple(selection.keep)
        _check_kept(keep, inputs, spec, file)
        inputs.append(
            PlannedInput(
                divided.rows, number, selection.column, selection.id_column, keep,
                selection.is_final,
            )
        )  # fmt: skip
        number += divided.rows
        for part, rows, size in _sizes(file, divided.rows, divided.parts):
            shards.append(Shard(len(shards), index, part.row, rows, part.line, part.offset,
                                part.header_lines, size))  # fmt: skip
        report((index + 1) / len(spec.inputs))
    return JobPlan(tuple(inputs), tuple(shards))


def _check_kept(
    keep: tuple[str, ...], before: list[PlannedInput], spec: JobSpec, file: InputFile
) -> None:
    """Refuse an input of which other columns are kept: parts have the same columns."""
    first = next((each for each in before if each.rows), None)
    if first is None or spec.columns.keep != "all" or set(first.keep) == set(keep):
        return
    name = min(set(first.keep) ^ set(keep))
    raise DataFileError(
        f"{file.name}: not all inputs have the column {name!r}; name the columns to keep with "
        "--keep (in Python, keep=)"
    )


def _sizes(
    file: InputFile, rows: int, parts: list[FilePart]
) -> Iterator[tuple[FilePart, int, int]]:
    """Each part with its rows and its bytes, which are in proportion to rows without an offset."""
    size = Path(file.source).stat().st_size
    for part, after in zip(parts, [*parts, None][1:], strict=True):
        count = (rows if after is None else after.row) - part.row
        if part.offset is None:
            share = size * count // rows
        else:
            end = after.offset if after is not None and after.offset is not None else size
            share = end - part.offset
        yield part, count, share
