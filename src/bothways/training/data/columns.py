"""Which columns of a file hold what an objective learns from."""

import dataclasses
import re
from collections.abc import Mapping, Sequence
from typing import Any, Literal, assert_never

from bothways.errors import DataFileError
from bothways.files.columns import format_names, require_column

__all__ = ["ColumnNames", "Columns", "Task", "choose_columns"]

Task = Literal["mlm", "classify", "tag", "regress", "contrast"]
"""What is to be learned, as the command line calls it."""

_SEQUENCES = (
    *("text", "sentence", "sequence", "series", "document", "body", "content"),
    *("smiles", "protein", "peptide", "dna", "rna", "seq", "events", "x"),
)
_WORDS = ("tokens", "words", *_SEQUENCES)
_LABELS: Mapping[Task, tuple[str, ...]] = {
    "mlm": (),
    "classify": ("label", "labels", "class", "classes", "category", "categories", "topic", "y"),
    "tag": ("tags", "labels", "ner_tags", "pos_tags", "pos", "tag", "y"),
    "regress": ("target", "value", "score", "label", "y"),
    "contrast": (),
}
_ANCHORS = ("anchor", "query", "question", "text1", "sentence1", "text_a", "sentence_a", "premise")
_POSITIVES = (
    *("positive", "pos", "passage", "document", "answer", "text2", "sentence2"),
    *("text_b", "sentence_b", "hypothesis"),
)
_NEGATIVE = re.compile(r"(hard_)?neg(ative)?s?(_?\d+)?", re.IGNORECASE)

_OPTION: Mapping[Task, str] = {"classify": "--label", "tag": "--label", "regress": "--target"}


@dataclasses.dataclass(frozen=True, kw_only=True)
class ColumnNames:
    """The columns that the user named; empty or None for those left to us.

    inputs: of the sequence; two for a pair of texts read as one input; for contrast the anchor, its
        positive and any negatives.
    labels: of the class, the tags or the numbers.
    group: rows with the same value here stay on one side of the split. `file` is the input file,
        and in CoNLL `document` is the document, where there is no such column.
    """

    inputs: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    group: str | None = None


@dataclasses.dataclass(frozen=True)
class Columns:
    """The columns of one file.

    inputs: of the sequence, of the two texts of a pair, or of anchor and positive.
    negatives: those that the user named; None for those called so in each row.
    """

    inputs: tuple[str, ...]
    labels: tuple[str, ...] = ()
    group: str | None = None
    negatives: tuple[str, ...] | None = ()

    def negatives_in(self, fields: Mapping[str, Any]) -> tuple[str, ...]:
        """The columns of a row that hold hard negatives."""
        if self.negatives is not None:
            return self.negatives
        return tuple(column for column in fields if _NEGATIVE.fullmatch(column))

    def needed(self, fields: Mapping[str, Any]) -> list[str]:
        """The columns that have to be read of a file whose every row has these fields."""
        group = () if self.group is None else (self.group,)
        wanted = {*self.inputs, *self.negatives_in(fields), *self.labels, *group}
        return [column for column in fields if column in wanted]


def choose_columns(task: Task, name: str, fields: Mapping[str, Any], names: ColumnNames) -> Columns:
    """The columns of the file called `name`, whose first row has these fields.

    Those that the user named; else those with a usual name; else what is left over where only one
    choice is.

    Raises:
        DataFileError: if a named column is not there, or several could be meant; it lists them.
    """
    available = list(fields)
    for column in (*names.inputs, *names.labels):
        require_column(name, available, column)
    group = names.group
    if group is not None and group not in available and group != "file":
        require_column(name, available, group)
    if task == "contrast":
        inputs, negatives = _pair_columns(name, available, names)
        return Columns(inputs, group=group, negatives=negatives)
    free = [column for column in available if column not in (*names.inputs, group)]
    labels = names.labels or _label_columns(task, name, free, names)
    if names.inputs:
        inputs = _checked_inputs(task, name, names.inputs)
    else:
        rest = [column for column in available if column not in (*labels, group)]
        inputs = (_input_column(task, name, rest, fields),)
    return Columns(inputs, labels, group)


def _checked_inputs(task: Task, name: str, inputs: tuple[str, ...]) -> tuple[str, ...]:
    most = 2 if task in ("classify", "regress") else 1
    if len(inputs) > most:
        raise DataFileError(
            f"{name}: {len(inputs)} columns of input, {format_names(inputs)}; {task} takes {most}"
        )
    return inputs


def _label_columns(
    task: Task, name: str, free: Sequence[str], names: ColumnNames
) -> tuple[str, ...]:
    usual = _LABELS[task]
    if not usual:
        return ()
    if len(free) < (1 if names.inputs else 2):
        raise DataFileError(
            f"{name}: has only {format_names([*names.inputs, *free])}; {task} needs {_what(task)} "
            "beside the sequences, as in .csv, .tsv, .jsonl or .parquet"
        )
    found = [column for column in free if column.lower() in usual]
    if len(found) == 1:
        return (found[0],)
    inputs = [column for column in free if column.lower() in _WORDS]
    others = [column for column in free if column not in inputs]
    if not found and len(inputs) == 1 and len(others) == 1:
        return (others[0],)
    raise DataFileError(
        f"{name}: which column holds {_what(task)}? Name it with {_OPTION[task]}: "
        f"{format_names(free)}"
    )


def _what(task: Task) -> str:
    match task:
        case "classify":
            return "the labels"
        case "tag":
            return "the tags"
        case "regress":
            return "the numbers to predict"
        case "mlm" | "contrast":
            return "nothing"
        case unknown:
            assert_never(unknown)


def _input_column(task: Task, name: str, rest: Sequence[str], fields: Mapping[str, Any]) -> str:
    candidates = [column for column in rest if isinstance(fields[column], str | list)]
    if len(candidates) == 1:
        return candidates[0]
    usual = [column for column in candidates if column.lower() in _usual_inputs(task)]
    if len(usual) == 1:
        return usual[0]
    if not candidates:
        raise DataFileError(
            f"{name}: no column could hold the sequences; the file has {format_names(list(fields))}"
        )
    raise DataFileError(
        f"{name}: which column holds the sequences? Name it with --column: "
        f"{format_names(candidates)}"
    )


def _usual_inputs(task: Task) -> tuple[str, ...]:
    return ("tokens", "words") if task == "tag" else _SEQUENCES


def _pair_columns(
    name: str, available: Sequence[str], names: ColumnNames
) -> tuple[tuple[str, ...], tuple[str, ...] | None]:
    """Anchor and positive; and the negatives, where they are named."""
    if names.inputs:
        if len(names.inputs) < 2:
            raise DataFileError(
                f"{name}: contrast learns from pairs; name two columns with --column, the anchor "
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
        f"{name}: which columns hold the pairs? Name the anchor and then its positive with "
        f"--column, once for each: {format_names(available)}"
    )
