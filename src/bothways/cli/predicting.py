"""Rows in, predictions out, a chunk at a time: what each task writes for a row."""

import dataclasses
import warnings
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, Literal, assert_never

import numpy as np

from bothways.cli.memory import ChunkPlan
from bothways.cli.progress import EncodingReport
from bothways.cli.streaming import Totals, chunks, naming_rows, within_chunk
from bothways.errors import InputError, TruncationWarning, UnknownTokenWarning
from bothways.files import Meter, Row
from bothways.files.record_writers import ColumnType, RecordWriter
from bothways.model.heads import Head, HeadTask

if TYPE_CHECKING:
    from bothways.encoder import Encoder
    from bothways.inference.predict.classify import Classifications
    from bothways.inference.predict.fill_mask import MaskPrediction
    from bothways.inference.predict.sparse import SparseVectors
    from bothways.inference.predict.tag import TokenTags

__all__ = ["HEADS", "PredictTask", "Predictor", "choose_task", "predict_rows"]

PredictTask = Literal["classify", "predict", "tag", "fill-mask", "sparse"]

Cells = dict[str, Sequence[Any]]
"""Of some columns, for the rows of a chunk."""

HEADS: dict[PredictTask, tuple[HeadTask, ...]] = {
    "classify": ("classes", "multilabel"),
    "predict": ("values",),
    "tag": ("tags",),
    "fill-mask": ("masked_tokens",),
    "sparse": ("masked_tokens",),
}
"""The heads that each task can use, in order; the tasks are methods of `Encoder`."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Predictor:
    """A task, and how it is done.

    head: that does it. threshold: for several labels. top: tokens for each mask. words: whether
    texts are cut at their spaces into words, which are tagged. query: the first text of each pair,
    of which a row is the second; None for rows as they are.
    """

    task: PredictTask
    head: Head
    threshold: float = 0.5
    top: int = 5
    words: bool = False
    query: str | None = None
    on_overflow: Literal["error", "truncate", "window"] = "truncate"
    on_unknown: Literal["warn", "error", "ignore"] = "warn"

    @property
    def columns(self) -> dict[str, ColumnType]:
        """The columns of the output: of the row, then of its prediction."""
        row: dict[str, ColumnType] = {"id": "text", "text": "text"}
        return row | self._predicted() | {"truncated": "flag"}

    def sequence(self, value: Any) -> Any:
        """What the encoder gets of a row."""
        if self.query is not None:
            return self.query, value
        return value.split() if self.words and isinstance(value, str) else value

    def predict(
        self,
        encoder: "Encoder",
        sequences: list[Any],
        max_tokens: int,
        progress: Callable[[int, int], None],
    ) -> tuple[Cells, np.ndarray]:
        """The cells of the predicted columns, and whether each sequence was cut."""
        match self.task:
            case "classify":
                classified = encoder.classify(
                    sequences,
                    threshold=self.threshold,
                    on_overflow=self.on_overflow,
                    on_unknown=self.on_unknown,
                    max_tokens=max_tokens,
                    progress=progress,
                )
                return self._classes(classified), classified.truncated
            case "predict":
                from bothways.inference.options import RunOptions
                from bothways.inference.predict.regress import predict_values

                options = RunOptions(
                    self.on_overflow, max_tokens, progress, on_unknown=self.on_unknown
                )
                values, truncated = predict_values(encoder.session, sequences, options=options)
                return self._by_label("value", values), truncated
            case "tag":
                tagged = encoder.tag(
                    sequences,
                    on_overflow=self.on_overflow,
                    on_unknown=self.on_unknown,
                    max_tokens=max_tokens,
                    progress=progress,
                )
                return _tags(tagged), np.array([one.truncated for one in tagged], dtype=bool)
            case "fill-mask":
                filled = encoder.fill_mask(
                    sequences,
                    top=self.top,
                    on_overflow=self.on_overflow,
                    on_unknown=self.on_unknown,
                    max_tokens=max_tokens,
                    progress=progress,
                )
                return _masks(filled), np.array([own[0].truncated for own in filled], dtype=bool)
            case "sparse":
                sparse = encoder.sparse(
                    sequences,
                    on_overflow=self.on_overflow,
                    on_unknown=self.on_unknown,
                    max_tokens=max_tokens,
                    progress=progress,
                )
                return _terms(sparse), sparse.truncated
            case unknown:
                assert_never(unknown)

    def _predicted(self) -> dict[str, ColumnType]:
        match self.task:
            case "classify" if self.head.task == "classes":
                labels: dict[str, ColumnType] = {"label": "text", "probability": "number"}
                return labels | self._label_columns("probability")
            case "classify":
                return {"label": "texts", **self._label_columns("probability")}
            case "predict":
                return self._label_columns("value")
            case "tag":
                return {"tokens": "texts", "tags": "texts", "probabilities": "numbers"}
            case "fill-mask":
                return {"tokens": "lists of texts", "probabilities": "lists of numbers"}
            case "sparse":
                return {"terms": "texts", "weights": "numbers"}
            case unknown:
                assert_never(unknown)

    def _classes(self, classified: "Classifications") -> Cells:
        shares = classified.probabilities
        cells: Cells = {"label": classified.labels}
        if self.head.task == "classes":
            cells["probability"] = _shortest(_best(shares))
        return cells | self._by_label("probability", shares)

    def _label_columns(self, noun: str) -> dict[str, ColumnType]:
        names = _label_names(noun, self.head)
        return dict.fromkeys(names, "number")

    def _by_label(self, noun: str, number_BC: np.ndarray) -> Cells:
        names = _label_names(noun, self.head)
        return {name: _shortest(number_BC[:, i]) for i, name in enumerate(names)}


def choose_task(encoder: "Encoder", wanted: PredictTask | None) -> tuple[PredictTask, Head]:
    """The task that the user named, or the only one that the model has a head for.

    Raises:
        InputError: if the model has no head for it, or several and none was named.
    """
    if wanted is not None:
        return wanted, encoder.session.heads.find(*HEADS[wanted], purpose=f"--task {wanted}")
    possible = [task for task, heads in HEADS.items() if set(heads) & set(encoder.tasks)]
    if not possible:
        encoder.session.heads.find("classes", "multilabel", "values", "tags", purpose="predict")
    if len(possible) > 1:
        raise InputError(
            f"the model {encoder.path} could be used for {', '.join(possible)}; "
            "choose one with --task"
        )
    return possible[0], encoder.session.heads.find(*HEADS[possible[0]], purpose="predict")


def predict_rows(
    encoder: "Encoder",
    rows: Iterable[Row],
    writer: RecordWriter,
    predictor: Predictor,
    *,
    plan: ChunkPlan,
    meter: Meter,
    report: EncodingReport,
) -> Totals:
    """Predict and write all rows.

    meter: of the reader that gives the rows. report: is called after every batch.

    Raises:
        InputError: naming file and row of a sequence that cannot be encoded.
    """
    totals = Totals()
    before: float | None = 0.0
    for chunk in chunks(rows, plan):
        after = meter.share
        heard = _Heard(within_chunk(report, totals.tokens, before, after))
        with naming_rows(chunk), warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("ignore", TruncationWarning)  # all of them are counted at the end
            warnings.simplefilter("always", UnknownTokenWarning)  # and these
            cells, truncated = predictor.predict(
                encoder,
                [predictor.sequence(row.value) for row in chunk],
                plan.batch_tokens,
                heard,
            )
        writer.write(_of_rows(chunk) | cells | {"truncated": truncated.tolist()})
        _count_unknown(totals, chunk, caught)
        totals.rows += len(chunk)
        totals.tokens += heard.total
        totals.truncated += int(truncated.sum())
        before = after
    return totals


def _count_unknown(totals: Totals, chunk: list[Row], caught: list[warnings.WarningMessage]) -> None:
    """Count the rows that warnings are about, and repeat any other warning."""
    for entry in caught:
        if isinstance(entry.message, UnknownTokenWarning):
            place = chunk[entry.message.first].place
            totals.count_unknown(entry.message.count, f"{place}; {entry.message.advice}")
        else:
            warnings.warn_explicit(entry.message, entry.category, entry.filename, entry.lineno)


class _Heard:
    """Progress, passed on, of which the number of tokens is kept."""

    def __init__(self, progress: Callable[[int, int], None]) -> None:
        self._progress = progress
        self.total = 0

    def __call__(self, done: int, total: int) -> None:
        self.total = total
        self._progress(done, total)


def _tags(tagged: "list[TokenTags]") -> Cells:
    return {
        "tokens": [one.tokens for one in tagged],
        "tags": [one.labels for one in tagged],
        "probabilities": [_shortest(_best(one.probabilities)) for one in tagged],
    }


def _masks(filled: "list[list[MaskPrediction]]") -> Cells:
    return {
        "tokens": [[mask.tokens for mask in masks] for masks in filled],
        "probabilities": [[_shortest(mask.probabilities) for mask in masks] for masks in filled],
    }


def _terms(sparse: "SparseVectors") -> Cells:
    terms = [vector.terms() for vector in sparse]
    return {
        "terms": [list(own) for own in terms],
        "weights": [_shortest(np.array([*own.values()])) for own in terms],
    }


def _of_rows(chunk: list[Row]) -> Cells:
    return {"id": [row.id for row in chunk], "text": [_text_of(row.value) for row in chunk]}


def _text_of(value: Any) -> str | None:
    """What a person would know a row by; None for what is no text."""
    if isinstance(value, str):
        return value
    if isinstance(value, tuple):
        return "\t".join(value)
    return " ".join(value) if isinstance(value, list) else None


def _label_names(noun: str, head: Head) -> list[str]:
    """Columns for the numbers of each label; a single value needs no name."""
    if noun == "value" and len(head.labels) == 1:
        return [noun]
    return [f"{noun}_{label}" for label in head.labels]


def _best(share_NC: np.ndarray) -> np.ndarray:
    """The largest of each row; NaN for a row without numbers."""
    largest: np.ndarray = share_NC.max(axis=1)
    return largest


def _shortest(numbers: np.ndarray) -> list[float]:
    """Each number in the fewest digits that give the same float32 again."""
    return [float(text) for text in numbers.astype(np.float32).astype(str).tolist()]
