"""The last pass over training data: rows to examples that fit the encoder.

L positions of a sequence; W its words; K labels.
"""

import dataclasses
import itertools
from collections.abc import Iterator, Sequence
from contextlib import closing
from typing import Literal, NamedTuple

import numpy as np

from bothways.errors import DataFileError, InputError
from bothways.sequences import (
    NO_POSITION,
    SequenceReader,
    SeriesReader,
    Tokenized,
    first_token_positions,
    fit_to_length,
    join_words,
)
from bothways.sequences.unknown_tokens import explain_unknown, has_mostly_unknown, unknown_id
from bothways.training.data.dataset import IGNORED
from bothways.training.data.examples import ExampleWriter, PackedExamples, TargetForm
from bothways.training.data.labels import parse_classes, parse_number, parse_similarity
from bothways.training.data.losses import Losses
from bothways.training.data.rows import DataRow
from bothways.training.data.source import DataSource, ShareCallback
from bothways.training.data.survey import Survey

__all__ = ["TokenizedRows", "tokenize"]

_CHUNK_ROWS = 2048
"""Rows tokenized at a time: enough to keep all cores busy."""


@dataclasses.dataclass
class TokenizedRows:
    """Rows as examples.

    train, validation: training and held-out examples; None if there are none.
    losses: what the examples lack of the rows.
    """

    train: PackedExamples | None = None
    validation: PackedExamples | None = None
    losses: Losses = dataclasses.field(default_factory=Losses)


class _ReadRow(NamedTuple):
    """A row's sequences, and the character spans of its words, int64 (W, 2), or None."""

    sequences: list[Tokenized]
    spans: np.ndarray | None


def tokenize(
    source: DataSource,
    survey: Survey,
    held_out: np.ndarray,
    reader: SequenceReader,
    *,
    max_length: int,
    separator: str | None = None,
    on_overflow: Literal["truncate", "window"] = "truncate",
    report: ShareCallback | None = None,
) -> TokenizedRows:
    """Convert the rows of a source to examples, in order.

    held_out: the held-out rows of the survey, bool (n,). separator: as in the survey.
    on_overflow: for objectives with a target per sequence, as in `RowOptions`.
    report: as in `DataSource.rows`.

    A sequence longer than `max_length` is split into several examples for objectives with a target
    per position (mlm, tag); for others it is truncated and counted, or becomes one example of
    several windows.

    Raises:
        DataFileError: naming the file and row of an invalid sequence, or if the files have changed
            since the survey.
    """
    tokenizer = _RowTokenizer(source, survey, reader, max_length, separator, on_overflow)
    number = 0
    with closing(source.rows(report)) as rows:
        for chunk in iter(lambda: list(itertools.islice(rows, _CHUNK_ROWS)), []):
            for row, read in zip(chunk, tokenizer.read(chunk), strict=True):
                if number < survey.num_rows:
                    tokenizer.add(row, read, held_out=bool(held_out[number]))
                number += 1
    if number != survey.num_rows:
        raise DataFileError(
            f"{source.files[0].name}: had {survey.num_rows} rows at first and {number} now; do not "
            "change the data during training"
        )
    return tokenizer.finish()


class _RowTokenizer:
    """Converts rows to training and held-out examples."""

    def __init__(
        self,
        source: DataSource,
        survey: Survey,
        reader: SequenceReader,
        max_length: int,
        separator: str | None,
        on_overflow: Literal["truncate", "window"],
    ) -> None:
        self._source, self._reader = source, reader
        self._on_overflow = on_overflow
        self._max_length, self._separator = max_length, separator
        self._labels = survey.labels
        self._label_number = {label: number for number, label in enumerate(survey.labels)}
        self._form = _form(source, survey)
        self._writers: dict[bool, ExampleWriter] = {}
        self._unknown_id = unknown_id(reader)
        self._result = TokenizedRows()

    def read(self, rows: Sequence[DataRow]) -> Iterator[_ReadRow]:
        """Tokenize the sequences of each row.

        Raises:
            DataFileError: naming the file and row of an invalid sequence.
        """
        spans: list[np.ndarray | None] = []
        inputs: list[object] = []
        for row in rows:
            row_inputs, spans_W2 = self._reader_inputs(row)
            inputs += row_inputs
            spans.append(spans_W2)
        row_of_input = [row for row in rows for _ in row.inputs]
        try:
            tokenized = iter(self._reader.read(inputs, max_length=self._readable_length))
        except InputError as error:
            if error.sequence is None:
                raise
            raise DataFileError(f"{row_of_input[error.sequence].place}: {error.detail}") from error
        for row, spans_W2 in zip(rows, spans, strict=True):
            sequences = list(itertools.islice(tokenized, len(row.inputs)))
            self._count_unknown(row, sequences)
            yield _ReadRow(sequences, spans_W2)

    def _count_unknown(self, row: DataRow, sequences: list[Tokenized]) -> None:
        if self._unknown_id is None:
            return
        for value, sequence in zip(row.inputs, sequences, strict=True):
            if has_mostly_unknown(sequence, self._unknown_id):
                losses = self._result.losses
                if not losses.unknown:
                    losses.first_unknown = f"{row.place}; {explain_unknown(value, self._reader)}"
                losses.unknown += 1

    @property
    def _readable_length(self) -> int | None:
        """How much of a sequence is used; None for objectives that split it into examples."""
        if self._source.task in ("mlm", "tag") or self._on_overflow == "window":
            return None
        return self._max_length

    def add(self, row: DataRow, read: _ReadRow, *, held_out: bool) -> None:
        """Create the examples of a row."""
        if held_out not in self._writers:
            self._writers[held_out] = self._new_writer(read.sequences[0])
        writer = self._writers[held_out]
        try:
            match self._source.task:
                case "mlm":
                    for window in self._windows(read.sequences[0]):
                        if len(window) > read.sequences[0].prefix + read.sequences[0].suffix:
                            values = read.sequences[0].values[window]
                            writer.add([values], None, None, row.place)
                case "tag":
                    self._add_tagged(writer, row, read)
                case "classify" | "regress" if self._on_overflow == "window":
                    self._add_windows(writer, row, read.sequences[0])
                case "classify" | "regress" | "contrast":
                    fitted = [
                        fit_to_length(each, self._max_length, "truncate") for each in read.sequences
                    ]
                    self._result.losses.truncated += sum(each.truncated for each in fitted)
                    sequences = [each.windows[0] for each in fitted]
                    writer.add(sequences, fitted[0].segments[0], self._target(row), row.place)
        except InputError as error:
            raise DataFileError(f"{row.place}: {error.detail}") from error

    def finish(self) -> TokenizedRows:
        """The examples of all rows."""
        finished = {side: writer.finish() for side, writer in self._writers.items() if len(writer)}
        self._result.train, self._result.validation = finished.get(False), finished.get(True)
        return self._result

    def _reader_inputs(self, row: DataRow) -> tuple[tuple[object, ...], np.ndarray | None]:
        if self._source.task != "tag" or not isinstance(row.inputs[0], list):
            return row.inputs, None
        sequence, spans = join_words(row.inputs[0], self._reader.kind)
        return (sequence,), spans

    def _new_writer(self, first: Tokenized) -> ExampleWriter:
        return ExampleWriter(
            self._form,
            [file.name for file in self._source.files],
            prefix=first.prefix,
            suffix=first.suffix,
            channels=first.values.shape[1] if first.values.ndim > 1 else 0,
            num_targets=len(self._labels),
            stem=self._reader.series.stem if isinstance(self._reader, SeriesReader) else None,
        )

    def _add_windows(self, writer: ExampleWriter, row: DataRow, tokenized: Tokenized) -> None:
        """Add a row whose sequence is read in windows, if it is long."""
        fitted = fit_to_length(tokenized, self._max_length, "window")
        segments = [each for each in fitted.segments if each is not None]
        writer.add(
            fitted.windows,
            np.concatenate(segments) if segments else None,
            self._target(row),
            row.place,
            len(tokenized) if len(fitted.windows) > 1 else 0,
        )

    def _add_tagged(self, writer: ExampleWriter, row: DataRow, read: _ReadRow) -> None:
        (tokenized,) = read.sequences
        tags: list[str] = row.labels[0]
        untruncated = fit_to_length(tokenized, max(len(tokenized), self._max_length), "error")
        position_W = first_token_positions(untruncated, read.spans)
        if len(position_W) != len(tags):
            raise DataFileError(
                f"{row.at_label()}: {len(tags)} tags for {len(position_W)} symbols; expected "
                "one tag per symbol"
            )
        has_token_W = position_W != NO_POSITION
        self._result.losses.words_without_token += int((~has_token_W).sum())
        target_L = np.full(len(tokenized), IGNORED)
        numbers_W = np.array([self._label_number[tag] for tag in tags], dtype=np.int64)
        target_L[position_W[has_token_W]] = numbers_W[has_token_W]
        for window in self._windows(tokenized):
            if (target_L[window] != IGNORED).any():
                writer.add([tokenized.values[window]], None, target_L[window], row.place)

    def _windows(self, tokenized: Tokenized) -> list[np.ndarray]:
        """Split the positions of a sequence into windows of similar length, with special tokens."""
        length, suffix = len(tokenized), tokenized.suffix
        if length <= self._max_length:
            return [np.arange(length)]
        room = self._max_length - tokenized.prefix - suffix
        if room < 1:
            raise InputError(f"max_length={self._max_length} leaves no room for a token")
        content = np.arange(tokenized.prefix, length - suffix)
        begin, end = np.arange(tokenized.prefix), np.arange(length - suffix, length)
        parts = np.array_split(content, -(-len(content) // room))
        return [np.concatenate([begin, part, end]) for part in parts]

    def _target(self, row: DataRow) -> np.ndarray | None:
        match self._form:
            case "class" | "labels":
                labels = parse_classes(row.labels[0], self._separator, row.at_label())
                if isinstance(labels, str):
                    return np.array(self._label_number[labels])
                target_K = np.zeros(len(self._labels))
                target_K[[self._label_number[label] for label in labels]] = 1
                return target_K
            case "values":
                parse = parse_similarity if self._source.task == "contrast" else parse_number
                return np.array([parse(v, row.at_label(i)) for i, v in enumerate(row.labels)])
            case _:
                return None


def _form(source: DataSource, survey: Survey) -> TargetForm:
    match source.task:
        case "classify":
            return "labels" if survey.multilabel else "class"
        case "regress":
            return "values"
        case "tag":
            return "tags"
        case "contrast":
            return "values" if survey.labels else "none"
        case "mlm":
            return "none"
