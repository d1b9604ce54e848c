"""Files of rows that nothing is learned from: validation files, and data to evaluate a model on."""

import dataclasses
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Literal, Self

import numpy as np

from bothways.model.inputs import InputKind
from bothways.sequences import SequenceReader
from bothways.training.data.label_checks import KnownLabels
from bothways.training.data.rows import DataRow
from bothways.training.data.source import DataSource, ShareCallback
from bothways.training.data.survey import Survey, survey
from bothways.training.data.tokenization import TokenizedRows, tokenize
from bothways.training.options.data import ColumnNames, RowOptions
from bothways.training.options.objective import TrainingTask

__all__ = ["EvaluationData", "one_line"]


@dataclasses.dataclass(frozen=True, eq=False)
class EvaluationData:
    """Files of rows that have been checked, all of them to evaluate."""

    source: DataSource
    survey: Survey
    separator: str | None
    on_overflow: Literal["truncate", "window"] = "truncate"

    @classmethod
    def read(
        cls,
        task: TrainingTask,
        files: Sequence[str],
        options: RowOptions,
        *,
        kind: InputKind,
        names: ColumnNames,
        known: KnownLabels,
        dropped: frozenset[str] = frozenset(),
        report: ShareCallback | None = None,
    ) -> Self:
        """Read and check the files.

        names: the columns that the user named. known: the labels that rows may have.
        dropped: classes whose rows are skipped. report: as in `DataSource.rows`.

        Raises:
            DataFileError: naming the file, row and column of an invalid value, and what to do.
        """
        source = DataSource.open(
            files,
            task,
            kind=kind,
            names=names,
            options=options.file_options,
        )
        source = dataclasses.replace(source, dropped=dropped)
        separator = options.label_separator
        return cls(
            source,
            survey(source, separator=separator, known=known, report=report),
            separator,
            options.on_overflow,
        )

    @property
    def name(self) -> str:
        """The names of the files."""
        return ", ".join(Path(file.name).name for file in self.source.files)

    @property
    def num_rows(self) -> int:
        """Number of rows."""
        return self.survey.num_rows

    def tokenize(
        self, reader: SequenceReader, max_length: int, *, report: ShareCallback | None = None
    ) -> TokenizedRows:
        """Tokenize the rows into validation examples.

        Raises:
            DataFileError: naming the file and row of an invalid sequence.
        """
        return tokenize(
            self.source,
            self.survey,
            np.ones(self.num_rows, dtype=bool),
            reader,
            max_length=max_length,
            separator=self.separator,
            on_overflow=self.on_overflow,
            report=report,
        )

    def texts(self) -> dict[tuple[str, int], str]:
        """Each row in one line of text, by file and row."""
        with closing(self.source.rows()) as rows:
            return {(row.place.file, row.place.row): one_line(row) for row in rows}


def one_line(row: DataRow) -> str:
    """The sequences of a row in one line of text."""
    if row.label_columns and len(row.inputs) == 2 and all(isinstance(s, str) for s in row.inputs):
        return " | ".join(row.inputs)  # a scored or labeled pair
    match row.inputs[0]:
        case str() as text:
            return text
        case np.ndarray() as series:
            return f"a series of {len(series)}"
        case tuple() as pair:
            return " | ".join(pair)
        case words:
            return " ".join(words)
