"""The training and validation data of a run: checked first, tokenized later."""

import dataclasses
import itertools
from collections.abc import Iterator, Sequence
from contextlib import closing
from typing import Any, Literal, Self

import numpy as np

from bothways.errors import DataFileError
from bothways.model.inputs import InputKind
from bothways.sequences import SequenceReader
from bothways.training.data.evaluation_data import EvaluationData, one_line
from bothways.training.data.examples import PackedExamples
from bothways.training.data.label_checks import KnownLabels
from bothways.training.data.losses import Losses
from bothways.training.data.source import DataSource, ShareCallback
from bothways.training.data.split import choose_held_out
from bothways.training.data.survey import Survey, survey
from bothways.training.data.tokenization import tokenize
from bothways.training.options.data import DataOptions
from bothways.training.options.objective import PairLoss, TrainingTask

__all__ = ["SplitExamples", "TrainingData"]


@dataclasses.dataclass(frozen=True, eq=False)
class SplitExamples:
    """Training and validation examples.

    losses: what they lack of the rows.
    """

    train: PackedExamples
    validation: PackedExamples | None
    losses: Losses


@dataclasses.dataclass(frozen=True, eq=False)
class TrainingData:
    """Data files that have been checked.

    held_out: which rows of `source` are held out for validation, bool (n,).
    validation: separate validation files, or None.
    shared: number of validation rows whose sequence is in the training data too.
    """

    source: DataSource
    survey: Survey
    held_out: np.ndarray
    validation: EvaluationData | None
    shared: int
    separator: str | None
    on_overflow: Literal["truncate", "window"] = "truncate"

    @classmethod
    def read(
        cls,
        task: TrainingTask,
        files: Sequence[str],
        options: DataOptions,
        *,
        kind: InputKind | None,
        preferred: Sequence[str] = (),
        pair_loss: PairLoss | None = None,
        seed: int,
        report: ShareCallback | None = None,
    ) -> Self:
        """Read and check the files, and choose the held-out rows.

        kind: of the sequences; None to detect it from the first row.
        preferred: labels in the order to use, if they include all labels of the data.
        pair_loss: the loss that the user chose for contrast; None to choose it by the columns.
        report: as in `DataSource.rows`.

        Raises:
            DataFileError: naming the file, row and column of an invalid value, and what to do.
        """
        names = dataclasses.replace(options.names, pair_loss=pair_loss)
        separator = options.label_separator
        source = DataSource.open(files, task, kind=kind, names=names, options=options.file_options)
        rare = options.rare_classes or "error"
        train_survey = survey(
            source,
            separator=separator,
            preferred=preferred,
            allow_rare=rare != "error",
            report=report,
        )
        if rare == "drop" and train_survey.rare_classes:
            source = dataclasses.replace(source, dropped=train_survey.rare_classes)
            train_survey = survey(source, separator=separator, preferred=preferred)
        if not options.validation:
            held_out = choose_held_out(
                train_survey, fraction=options.held_out, seed=seed, name=source.files[0].name
            )
            return cls(source, train_survey, held_out, None, 0, separator, options.on_overflow)
        validation = EvaluationData.read(
            task,
            options.validation,
            options,
            kind=source.kind,
            # Grouping does not apply to separate validation files.
            names=dataclasses.replace(names, group=None),
            known=KnownLabels(labels=train_survey.labels),
            dropped=source.dropped,
        )
        _check_consistency(validation.source, train_survey, validation.survey)
        shared = int(np.isin(validation.survey.keys, train_survey.keys).any(axis=1).sum())
        held_out = np.zeros(train_survey.num_rows, dtype=bool)
        return cls(
            source, train_survey, held_out, validation, shared, separator, options.on_overflow
        )

    @property
    def num_held_out(self) -> int:
        """Number of validation rows."""
        if self.validation is not None:
            return self.validation.num_rows
        return int(self.held_out.sum())

    @property
    def num_training(self) -> int:
        """Number of training rows."""
        return self.survey.num_rows - int(self.held_out.sum())

    def sequences(self, report: ShareCallback | None = None) -> Iterator[Any]:
        """Every training sequence, to build a vocabulary; the words of a sentence as one text."""
        with closing(self.source.rows(report)) as rows:
            for row in itertools.compress(rows, ~self.held_out):
                for sequence in row.inputs:
                    yield from _vocabulary_inputs(sequence, self.source.kind)

    def tokenize(
        self, reader: SequenceReader, max_length: int, *, report: ShareCallback | None = None
    ) -> SplitExamples:
        """Tokenize the rows into examples.

        Raises:
            DataFileError: naming the file and row of an invalid sequence.
        """
        rows = tokenize(
            self.source,
            self.survey,
            self.held_out,
            reader,
            max_length=max_length,
            separator=self.separator,
            on_overflow=self.on_overflow,
            report=report,
        )
        if rows.train is None:
            raise DataFileError(f"{self.source.files[0].name}: no row contains a training example")
        if self.validation is None:
            return SplitExamples(rows.train, rows.validation, rows.losses)
        validation = self.validation.tokenize(reader, max_length)
        return SplitExamples(rows.train, validation.validation, rows.losses + validation.losses)

    def validation_texts(self) -> dict[tuple[str, int], str]:
        """Each validation row in one line of text, by file and row."""
        if self.validation is not None:
            return self.validation.texts()
        with closing(self.source.rows()) as rows:
            return {
                (row.place.file, row.place.row): one_line(row)
                for row in itertools.compress(rows, self.held_out)
            }

    def input_texts(self, rows: np.ndarray) -> tuple[list[str], list[str]]:
        """The whole texts of some training rows, and of all held-out rows, in their order.

        rows: sorted numbers of training rows, counted without the held-out ones.
        """
        chosen = set(rows.tolist())
        number = itertools.count()
        train, held_out = [], []
        with closing(self.source.rows()) as source_rows:
            for row, is_held_out in zip(source_rows, self.held_out.tolist(), strict=True):
                if is_held_out:
                    held_out.append(one_line(row))
                elif next(number) in chosen:
                    train.append(one_line(row))
        if self.validation is not None:
            with closing(self.validation.source.rows()) as validation_rows:
                held_out = [one_line(row) for row in validation_rows]
        return train, held_out

    def provenance(self) -> dict[str, Any]:
        """The files with their hashes and the sizes of the split, as JSON."""
        return {
            "files": self.source.fingerprints(),
            "validation": [] if self.validation is None else self.validation.source.fingerprints(),
            "rows": self.num_training,
            "held_out": self.num_held_out,
        }


def _check_consistency(source: DataSource, train: Survey, validation: Survey) -> None:
    name = source.files[0].name
    if validation.multilabel != train.multilabel:
        raise DataFileError(
            f"{name}: training and validation data must both have one label per row, or both lists"
        )
    if validation.channels != train.channels:
        raise DataFileError(
            f"{name}: {validation.channels} channels, but the training data has {train.channels}"
        )


def _vocabulary_inputs(sequence: Any, kind: InputKind) -> Iterator[Any]:
    """The texts or symbols of a sequence, for a vocabulary."""
    match sequence:
        case tuple():
            yield from sequence
        case list() if kind == "text":
            yield " ".join(sequence)
        case _:
            yield sequence
