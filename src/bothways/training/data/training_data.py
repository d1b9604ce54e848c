"""The data of one run, on both sides of the split: checked first, tokenized later."""

import dataclasses
import hashlib
import itertools
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, Self

import numpy as np

from bothways.errors import DataFileError
from bothways.model.inputs import InputKind
from bothways.sequences import SequenceReader
from bothways.training.data.columns import Task
from bothways.training.data.examples import PackedExamples
from bothways.training.data.rows import DataRow
from bothways.training.data.source import Report, Source
from bothways.training.data.split import choose_held_out
from bothways.training.data.survey import Survey, survey
from bothways.training.data.tokenization import tokenize
from bothways.training.plan import DataOptions

__all__ = ["Examples", "TrainingData"]


@dataclasses.dataclass(frozen=True, eq=False)
class Examples:
    """Examples to learn from and to validate on, and what was lost on the way, for a warning.

    truncated: sequences that were cut. untagged: words that have a tag and no token.
    """

    train: PackedExamples
    validation: PackedExamples | None
    truncated: int
    untagged: int


@dataclasses.dataclass(frozen=True, eq=False)
class TrainingData:
    """Files that have been read once, and can be learned from.

    held_out: which rows of `source` are to validate on, bool (n,).
    validation, validation_survey: files to validate on instead, where there are.
    shared: how many rows to validate on have a sequence that is learned from too.
    """

    source: Source
    survey: Survey
    held_out: np.ndarray
    validation: Source | None
    validation_survey: Survey | None
    shared: int
    separator: str | None

    @classmethod
    def read(
        cls,
        task: Task,
        files: Sequence[str],
        options: DataOptions,
        *,
        kind: InputKind | None,
        preferred: Sequence[str] = (),
        seed: int,
        report: Report | None = None,
    ) -> Self:
        """Read and check the files, and choose what is held out.

        kind: of the sequences; None to tell it by the first row.
        preferred: the order of labels, where it knows them all.
        report: as `Source.rows` takes it.

        Raises:
            DataFileError: naming file, row and column of what is wrong, and what to do.
        """
        names, separator = options.names, options.label_separator
        form = options.input_format
        source = Source.open(files, task, kind=kind, names=names, input_format=form)
        found = survey(source, separator=separator, preferred=preferred, report=report)
        if not options.validation:
            held_out = choose_held_out(
                found, share=options.held_out, seed=seed, name=source.files[0].name
            )
            return cls(source, found, held_out, None, None, 0, separator)
        # What tells training rows apart has no part in files of their own.
        names = dataclasses.replace(names, group=None)
        other = Source.open(
            options.validation, task, kind=source.kind, names=names, input_format=form
        )
        other_found = survey(other, separator=separator, known=found.labels)
        _check_alike(other, found, other_found)
        shared = int(np.isin(other_found.keys, found.keys).any(axis=1).sum())
        nothing = np.zeros(found.num_rows, dtype=bool)
        return cls(source, found, nothing, other, other_found, shared, separator)

    @property
    def num_held_out(self) -> int:
        """Rows to validate on."""
        if self.validation_survey is not None:
            return self.validation_survey.num_rows
        return int(self.held_out.sum())

    @property
    def num_training(self) -> int:
        """Rows to learn from."""
        return self.survey.num_rows - int(self.held_out.sum())

    def sequences(self, report: Report | None = None) -> Iterator[Any]:
        """Every sequence to learn from, for a vocabulary: words of a sentence as one text."""
        with closing(self.source.rows(report)) as rows:
            for row in itertools.compress(rows, ~self.held_out):
                for sequence in row.inputs:
                    yield from _parts(sequence, self.source.kind)

    def tokenize(
        self, reader: SequenceReader, max_length: int, *, report: Report | None = None
    ) -> Examples:
        """The examples.

        Raises:
            DataFileError: naming file and row of a sequence that the reader refuses.
        """
        found = tokenize(
            self.source,
            self.survey,
            self.held_out,
            reader,
            max_length=max_length,
            separator=self.separator,
            report=report,
        )
        if found.train is None:
            raise DataFileError(f"{self.source.files[0].name}: no row has anything to learn from")
        if self.validation is None or self.validation_survey is None:
            return Examples(found.train, found.validation, found.truncated, found.untagged)
        everything = np.ones(self.validation_survey.num_rows, dtype=bool)
        other = tokenize(
            self.validation,
            self.validation_survey,
            everything,
            reader,
            max_length=max_length,
            separator=self.separator,
        )
        return Examples(
            found.train,
            other.validation,
            found.truncated + other.truncated,
            found.untagged + other.untagged,
        )

    def texts_held_out(self) -> dict[tuple[str, int], str]:
        """What shows each row to validate on in a line, by its file and row."""
        source, chosen = self.source, self.held_out
        if self.validation is not None:
            source, chosen = self.validation, np.ones(self.num_held_out, dtype=bool)
        with closing(source.rows()) as rows:
            return {
                (row.place.file, row.place.row): _shown(row)
                for row in itertools.compress(rows, chosen)
            }

    def provenance(self) -> dict[str, Any]:
        """Which data this is, as JSON: files and their hashes, what was read of them, the split."""
        validation = () if self.validation is None else self.validation.files
        return {
            "files": [_identity(Path(file.source)) for file in self.source.files],
            "validation": [_identity(Path(file.source)) for file in validation],
            "rows": self.num_training,
            "held_out": self.num_held_out,
        }


def _check_alike(source: Source, train: Survey, validation: Survey) -> None:
    name = source.files[0].name
    if validation.several != train.several:
        raise DataFileError(f"{name}: one of the files has lists of labels, and the other has not")
    if validation.channels != train.channels:
        raise DataFileError(
            f"{name}: {validation.channels} numbers at each position, where the training data has "
            f"{train.channels}"
        )


def _parts(sequence: Any, kind: InputKind) -> Iterator[Any]:
    """What a vocabulary sees of a sequence."""
    match sequence:
        case tuple():
            yield from sequence
        case list() if kind == "text":
            yield " ".join(sequence)
        case _:
            yield sequence


def _shown(row: DataRow) -> str:
    match row.inputs[0]:
        case str() as text:
            return text
        case np.ndarray() as series:
            return f"a series of {len(series)}"
        case tuple() as pair:
            return " | ".join(pair)
        case words:
            return " ".join(words)


def _identity(path: Path) -> dict[str, Any]:
    """A file's name, without its folder, and what is in it."""
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return {"name": path.name, "bytes": path.stat().st_size, "sha256": digest}
