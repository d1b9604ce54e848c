"""Records of predictions: the columns that each task writes, and their values."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Literal, assert_never

import numpy as np

from bothways.cli.options import PredictTask
from bothways.errors import InputError
from bothways.files.list_cells import parse_list
from bothways.files.record_writers import ColumnType
from bothways.model.heads import Head, HeadTask

if TYPE_CHECKING:
    from bothways.encoder import Encoder
    from bothways.inference.predict.answer import Answer
    from bothways.inference.predict.classify import Classifications
    from bothways.inference.predict.entities import Aggregation
    from bothways.inference.predict.fill_mask import MaskPrediction
    from bothways.inference.predict.sparse import SparseVectors
    from bothways.inference.predict.tag import TokenTags

__all__ = ["HEADS", "Cells", "Predictor", "choose_task"]

Cells = dict[str, Sequence[Any]]
"""Values by column, one for each row of a chunk."""

HEADS: dict[PredictTask, tuple[HeadTask, ...]] = {
    "classify": ("classes", "multilabel"),
    "predict": ("values",),
    "tag": ("tags",),
    "answer": ("answer_spans",),
    "fill-mask": ("masked_tokens",),
    "sparse": ("masked_tokens",),
}
"""The heads that each task can use, in order of preference. The tasks are methods of `Encoder`."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Predictor:
    """A prediction task, its head and its options.

    head: None for weights of terms from a table.
    threshold: minimum probability of a label, where rows can have several. top: tokens per mask, or
    answers. allow_no_answer: whether an answer may be empty.
    words: whether to split texts at spaces and tag words. aggregate: how to find entities; None for
    tags. query: the first text of every pair,
    whose second text is a row; None without pairs. instruction: of a reranker that reads one; None
    for the model's.
    """

    task: PredictTask
    head: Head | None
    threshold: float = 0.5
    top: int = 5
    allow_no_answer: bool = False
    words: bool = False
    aggregate: "Aggregation | None" = None
    query: str | None = None
    instruction: str | None = None
    on_overflow: Literal["error", "truncate", "window"] = "truncate"
    on_unknown: Literal["warn", "error", "ignore"] = "warn"

    @property
    def columns(self) -> dict[str, ColumnType]:
        """The columns of the output: those of the row, then those of its prediction."""
        row: dict[str, ColumnType] = {"id": "text", "text": "text"}
        return row | self._prediction_columns() | {"truncated": "flag"}

    def sequence(self, value: Any) -> Any:
        """The input of the encoder for the value of a row."""
        if self.query is not None:
            return self.query, value
        if not (self.words and isinstance(value, str)):
            return value
        items = parse_list(value)  # as pandas prints the words of a sentence
        is_list = bool(items) and all(isinstance(item, str) for item in items or ())
        return items if is_list else value.split()

    def predict(
        self,
        encoder: "Encoder",
        sequences: list[Any],
        max_tokens: int,
        progress: Callable[[int, int], None],
    ) -> tuple[Cells, np.ndarray]:
        """The cells of the prediction columns, and whether sequences were truncated, bool (n,)."""
        match self.task:
            case "classify":
                classified = encoder.classify(
                    sequences,
                    threshold=self.threshold,
                    prompt=self.instruction,
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
                    aggregate=self.aggregate,
                    on_overflow=self.on_overflow,
                    on_unknown=self.on_unknown,
                    max_tokens=max_tokens,
                    progress=progress,
                )
                cells = _tags(tagged) if self.aggregate is None else _entities(tagged)
                return cells, np.array([item.truncated for item in tagged], dtype=bool)
            case "answer":
                from bothways.inference.options import RunOptions
                from bothways.inference.predict.answer import AnswerOptions, answer_pairs

                answers = answer_pairs(
                    encoder.session,
                    sequences,
                    which=AnswerOptions(self.top, self.allow_no_answer),
                    options=RunOptions(
                        "error", max_tokens, progress, prompt="", on_unknown=self.on_unknown
                    ),
                )
                return self._answers(answers), np.zeros(len(answers), dtype=bool)
            case "fill-mask":
                filled = encoder.fill_mask(
                    sequences,
                    top=self.top,
                    on_overflow=self.on_overflow,
                    on_unknown=self.on_unknown,
                    max_tokens=max_tokens,
                    progress=progress,
                )
                truncated = np.array([masks[0].truncated for masks in filled], dtype=bool)
                return _masks(filled), truncated
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

    def _prediction_columns(self) -> dict[str, ColumnType]:
        match self.task:
            case "classify" if self._has_classes:
                labels: dict[str, ColumnType] = {"label": "text", "probability": "number"}
                return labels | self._label_columns("probability")
            case "classify":
                return {"label": "texts", **self._label_columns("probability")}
            case "predict":
                return self._label_columns("value")
            case "tag" if self.aggregate is not None:
                return {
                    "entities": "texts",
                    "labels": "texts",
                    "starts": "integers",
                    "ends": "integers",
                    "scores": "numbers",
                }
            case "tag":
                return {"tokens": "texts", "tags": "texts", "probabilities": "numbers"}
            case "answer" if self.top > 1:
                return {
                    "answers": "texts",
                    "starts": "integers",
                    "ends": "integers",
                    "scores": "numbers",
                }
            case "answer":
                return {"answer": "text", "start": "integer", "end": "integer", "score": "number"}
            case "fill-mask":
                return {"tokens": "lists of texts", "probabilities": "lists of numbers"}
            case "sparse":
                return {"terms": "texts", "weights": "numbers"}
            case unknown:
                assert_never(unknown)

    def _classes(self, classified: "Classifications") -> Cells:
        probability_BC = classified.probabilities
        cells: Cells = {"label": classified.labels}
        if self._has_classes:
            cells["probability"] = _shortest(_largest(probability_BC))
        return cells | self._by_label("probability", probability_BC)

    def _answers(self, answers: "list[list[Answer]]") -> Cells:
        """The answers of each row: lists of their fields, or the fields of the best one."""
        cells: Cells = {
            "answers": [[answer.text for answer in row] for row in answers],
            "starts": [[answer.start for answer in row] for row in answers],
            "ends": [[answer.end for answer in row] for row in answers],
            "scores": [_shortest(np.array([answer.score for answer in row])) for row in answers],
        }
        if self.top > 1:
            return cells
        return {
            name.removesuffix("s"): [row[0] if row else None for row in values]
            for name, values in cells.items()
        }

    def _label_columns(self, noun: str) -> dict[str, ColumnType]:
        return dict.fromkeys(self._label_names(noun), "number")

    def _by_label(self, noun: str, number_BC: np.ndarray) -> Cells:
        names = self._label_names(noun)
        return {name: _shortest(number_BC[:, i]) for i, name in enumerate(names)}

    @property
    def _has_classes(self) -> bool:
        return self.head is not None and self.head.task == "classes"

    def _label_names(self, noun: str) -> list[str]:
        """Names of the columns with one number per label; a single value has the noun's name."""
        labels = () if self.head is None else self.head.labels
        return (
            [noun]
            if noun == "value" and len(labels) == 1
            else [f"{noun}_{label}" for label in labels]
        )


def choose_task(
    encoder: "Encoder", requested: PredictTask | None
) -> tuple[PredictTask, Head | None]:
    """The requested task, or the only one that the model has a head for, with the head.

    A model with a table of weights of terms has no head for them.

    Raises:
        InputError: if the model has no head for the task, or several tasks and none is requested.
    """
    terms = encoder.spec.terms
    if terms is not None and terms.source == "tokens" and requested in (None, "sparse"):
        return "sparse", None
    if requested is not None:
        head = encoder.session.heads.find(*HEADS[requested], purpose=f"--task {requested}")
        return requested, head
    possible = [task for task, heads in HEADS.items() if set(heads) & set(encoder.tasks)]
    if not possible:
        encoder.session.heads.find("classes", "multilabel", "values", "tags", purpose="predict")
    if len(possible) > 1:
        raise InputError(
            f"the model {encoder.path} supports {', '.join(possible)}; choose one with --task"
        )
    return possible[0], encoder.session.heads.find(*HEADS[possible[0]], purpose="predict")


def _tags(tagged: "list[TokenTags]") -> Cells:
    return {
        "tokens": [item.tokens for item in tagged],
        "tags": [item.labels for item in tagged],
        "probabilities": [_shortest(_largest(item.probabilities)) for item in tagged],
    }


def _entities(tagged: "list[TokenTags]") -> Cells:
    """The entities of each row, a list for each of their fields."""
    rows = [item.entities or [] for item in tagged]
    return {
        "entities": [[entity.text for entity in row] for row in rows],
        "labels": [[entity.label for entity in row] for row in rows],
        "starts": [[entity.start for entity in row] for row in rows],
        "ends": [[entity.end for entity in row] for row in rows],
        "scores": [_shortest(np.array([entity.score for entity in row])) for row in rows],
    }


def _masks(filled: "list[list[MaskPrediction]]") -> Cells:
    return {
        "tokens": [[mask.tokens for mask in masks] for masks in filled],
        "probabilities": [[_shortest(mask.probabilities) for mask in masks] for masks in filled],
    }


def _terms(sparse: "SparseVectors") -> Cells:
    terms = [vector.terms() for vector in sparse]
    return {
        "terms": [list(weights) for weights in terms],
        "weights": [_shortest(np.array([*weights.values()])) for weights in terms],
    }


def _largest(probability_NC: np.ndarray) -> np.ndarray:
    """The largest number of each row, (N,)."""
    largest: np.ndarray = probability_NC.max(axis=1)
    return largest


def _shortest(numbers: np.ndarray) -> list[float]:
    """Each number with the fewest digits that round to the same float32."""
    return [float(text) for text in numbers.astype(np.float32).astype(str).tolist()]
