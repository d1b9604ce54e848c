"""Selection of the columns that hold sequences, labels and groups."""

import dataclasses
import re
from collections.abc import Mapping, Sequence
from typing import Any, assert_never

from bothways.errors import DataFileError
from bothways.files.columns import format_names, require_column
from bothways.training.options.data import ColumnNames
from bothways.training.options.objective import TrainingTask

__all__ = ["DataColumns", "choose_columns"]

_SEQUENCES = (
    *("text", "sentence", "sequence", "series", "document", "body", "content"),
    *("smiles", "protein", "peptide", "dna", "rna", "seq", "events", "x"),
)
_WORDS = ("tokens", "words", *_SEQUENCES)
_LABELS: Mapping[TrainingTask, tuple[str, ...]] = {
    "mlm": (),
    "classify": ("label", "labels", "class", "classes", "category", "categories", "topic", "y"),
    "tag": ("tags", "labels", "ner_tags", "pos_tags", "pos", "tag", "y"),
    "regress": ("target", "value", "score", "label", "y"),
    "contrast": (
        *("score", "scores", "similarity", "similarity_score", "sim", "relatedness_score"),
        *("label", "labels", "target", "y", "is_duplicate", "duplicate", "paraphrase"),
    ),
}
_ANCHORS = ("anchor", "query", "question", "text1", "sentence1", "text_a", "sentence_a", "premise")
_POSITIVES = (
    *("positive", "pos", "passage", "document", "answer", "text2", "sentence2"),
    *("text_b", "sentence_b", "hypothesis"),
)
_IDENTIFIER = re.compile(
    r"(.*[_ ])?(id|ids|idx|index|guid|uuid|number|no)\d?|unnamed: ?\d+|#?", re.IGNORECASE
)
"""Names of columns whose numbers do not score a pair."""
_NEGATIVE = re.compile(r"(hard_)?neg(ative)?s?(_?\d+)?", re.IGNORECASE)

_OPTION: Mapping[TrainingTask, str] = {
    "classify": "--label",
    "tag": "--label",
    "regress": "--target",
    "contrast": "--label",
}


@dataclasses.dataclass(frozen=True)
class DataColumns:
    """The columns of one file.

    inputs: the column of the sequence, or those of the two texts of a pair or of anchor and
        positive.
    labels: the columns of labels. group: the column whose values stay on one side of the split.
    negatives: the columns that the user named; None to find them by name in each row.
    """

    inputs: tuple[str, ...]
    labels: tuple[str, ...] = ()
    group: str | None = None
    negatives: tuple[str, ...] | None = ()

    def negative_columns(self, fields: Mapping[str, Any]) -> tuple[str, ...]:
        """The columns of a row that hold hard negatives."""
        if self.negatives is not None:
            return self.negatives
        return tuple(column for column in fields if _NEGATIVE.fullmatch(column))

    def required(self, fields: Mapping[str, Any]) -> list[str]:
        """The columns to read from a file whose rows all have these fields."""
        group = () if self.group is None else (self.group,)
        required = {*self.inputs, *self.negative_columns(fields), *self.labels, *group}
        return [column for column in fields if column in required]


def choose_columns(
    task: TrainingTask, name: str, fields: Mapping[str, Any], names: ColumnNames
) -> DataColumns:
    """Choose the columns of the file `name`, whose first row has these fields.

    The columns that the user named come first, then columns with a common name, then the only
    column left.

    Raises:
        DataFileError: if a named column is missing or the choice is ambiguous; it lists them.
    """
    available = list(fields)
    for column in (*names.inputs, *names.labels):
        require_column(name, available, column)
    group = names.group
    if group is not None and group not in available and group != "file":
        require_column(name, available, group)
    if task == "contrast":
        labels = _pair_labels(name, fields, names)
        unlabeled = [column for column in available if column not in labels]
        inputs, negatives = _pair_columns(name, unlabeled, names)
        columns = DataColumns(inputs, labels, group, negatives)
        if labels and columns.negative_columns(fields):
            raise DataFileError(
                f"{name}: column {columns.negative_columns(fields)[0]!r} holds negatives, and "
                f"column {labels[0]!r} labels pairs; remove one of them, or ignore "
                f"{labels[0]!r} with --loss in-batch"
            )
        return columns
    free = [column for column in available if column not in (*names.inputs, group)]
    labels = names.labels or _label_columns(task, name, free, names)
    if names.inputs:
        inputs = _checked_inputs(task, name, names.inputs)
    else:
        rest = [column for column in available if column not in (*labels, group)]
        inputs = (_input_column(task, name, rest, fields),)
    return DataColumns(inputs, labels, group)


def _checked_inputs(task: TrainingTask, name: str, inputs: tuple[str, ...]) -> tuple[str, ...]:
    maximum = 2 if task in ("classify", "regress") else 1
    if len(inputs) > maximum:
        raise DataFileError(
            f"{name}: {len(inputs)} input columns, {format_names(inputs)}; {task} accepts {maximum}"
        )
    return inputs


def _label_columns(
    task: TrainingTask, name: str, free: Sequence[str], names: ColumnNames
) -> tuple[str, ...]:
    common_names = _LABELS[task]
    if not common_names:
        return ()
    if len(free) < (1 if names.inputs else 2):
        raise DataFileError(
            f"{name}: has only {format_names([*names.inputs, *free])}; {task} also needs a "
            f"column of {_label_noun(task)}, as in .csv, .tsv, .jsonl or .parquet"
        )
    matches = [column for column in free if column.lower() in common_names]
    if len(matches) == 1:
        return (matches[0],)
    inputs = [column for column in free if column.lower() in _WORDS]
    others = [column for column in free if column not in inputs]
    if not matches and len(inputs) == 1 and len(others) == 1:
        return (others[0],)
    raise DataFileError(
        f"{name}: which column holds the {_label_noun(task)}? Name it with {_OPTION[task]}: "
        f"{format_names(free)}"
    )


def _label_noun(task: TrainingTask) -> str:
    match task:
        case "classify":
            return "labels"
        case "tag":
            return "tags"
        case "regress":
            return "numbers to predict"
        case "contrast":
            return "scores or labels of the pairs"
        case "mlm":
            raise ValueError(f"{task} has no labels")
        case unknown:
            assert_never(unknown)


def _input_column(
    task: TrainingTask, name: str, rest: Sequence[str], fields: Mapping[str, Any]
) -> str:
    candidates = [column for column in rest if isinstance(fields[column], str | list)]
    if len(candidates) == 1:
        return candidates[0]
    matches = [column for column in candidates if column.lower() in _common_inputs(task)]
    if len(matches) == 1:
        return matches[0]
    if not candidates:
        raise DataFileError(
            f"{name}: no column can hold sequences; the file has {format_names(list(fields))}"
        )
    raise DataFileError(
        f"{name}: which column holds the sequences? Name it with --column: "
        f"{format_names(candidates)}"
    )


def _common_inputs(task: TrainingTask) -> tuple[str, ...]:
    return ("tokens", "words") if task == "tag" else _SEQUENCES


def _pair_labels(name: str, fields: Mapping[str, Any], names: ColumnNames) -> tuple[str, ...]:
    """The column that scores or labels the pairs, for contrast; empty if there is none.

    Raises:
        DataFileError: if several columns qualify, if the loss needs a column and there is none, or
            if a column of numbers has another name: ignored, it might hold the scores.
    """
    if len(names.labels) > 1:
        raise DataFileError(
            f"{name}: contrast accepts one column of scores or labels, not "
            f"{format_names(names.labels)}"
        )
    if names.labels:
        if names.pair_loss == "in-batch":
            raise DataFileError(
                f"{name}: --loss in-batch does not use column {names.labels[0]!r}; name no label, "
                "or choose --loss cosine or contrastive"
            )
        return names.labels
    if names.pair_loss == "in-batch":
        return ()
    free = [column for column in fields if column not in (*names.inputs, names.group)]
    matches = [column for column in free if column.lower() in _LABELS["contrast"]]
    if len(matches) == 1:
        return (matches[0],)
    numeric = _unknown_numbers(free, fields) if names.inputs or len(free) > 2 else []
    if not matches and not numeric and names.pair_loss is None:
        return ()
    if not matches and not numeric:
        raise DataFileError(
            f"{name}: --loss {names.pair_loss} needs a column of scores or labels; name it with "
            f"--label: {format_names(list(fields))}"
        )
    raise DataFileError(
        f"{name}: does column {(matches or numeric)[0]!r} say how similar the pairs are? If so, "
        f"name it with --label {(matches or numeric)[0]}; to learn every row as a similar pair, "
        "use --loss in-batch"
    )


def _unknown_numbers(free: Sequence[str], fields: Mapping[str, Any]) -> list[str]:
    """The columns of numbers that are neither identifiers nor of a known name."""
    return [
        column
        for column in free
        if _is_number(fields[column])
        and column.lower() not in (*_ANCHORS, *_POSITIVES)
        and not _NEGATIVE.fullmatch(column)
        and not _IDENTIFIER.fullmatch(column)
    ]


def _is_number(value: Any) -> bool:
    if isinstance(value, str):
        try:
            float(value)
        except ValueError:
            return False
        return True
    return isinstance(value, bool | int | float)


def _pair_columns(
    name: str, available: Sequence[str], names: ColumnNames
) -> tuple[tuple[str, ...], tuple[str, ...] | None]:
    """The columns of anchor and positive; and of negatives, if the user named columns."""
    if names.inputs:
        if len(names.inputs) < 2:
            raise DataFileError(
                f"{name}: contrast needs pairs; name two columns with --column, the anchor "
                f"and then its positive: {format_names(available)}"
            )
        return names.inputs[:2], names.inputs[2:]
    rest = [c for c in available if c != names.group and not _NEGATIVE.fullmatch(c)]
    anchors = [column for column in rest if column.lower() in _ANCHORS]
    positives = [column for column in rest if column.lower() in _POSITIVES]
    if len(anchors) == len(positives) == 1:
        return (anchors[0], positives[0]), None
    if len(rest) == 2:
        return (rest[0], rest[1]), None
    raise DataFileError(
        f"{name}: which columns hold the pairs? Name the anchor and then its positive, each with "
        f"--column: {format_names(available)}"
    )
