"""Options of the training data: columns, files and the held-out part."""

import dataclasses
from typing import Annotated, Literal

from bothways.errors import ConfigError
from bothways.files.formats import DEFAULT_ROW_SIZE, FileOptions, TextFormat
from bothways.io.options import Option, check_options
from bothways.training.options.objective import PairLoss

__all__ = ["ColumnNames", "DataOptions", "RareClasses", "RowOptions"]

RareClasses = Literal["error", "keep", "drop"]

_DATA = "Data"


@dataclasses.dataclass(frozen=True, kw_only=True)
class ColumnNames:
    """The columns that the user named; empty or None for those that bothways finds by itself.

    inputs: the column of the sequence; two for a pair of texts read as one input; for contrast the
        anchor, its positive and any negatives.
    labels: the column of the class or the tags, or the columns of the numbers.
    group: rows with the same value in this column stay on one side of the split. `file` stands for
        the input file, and in CoNLL `document` for the document, if no column has that name.
    pair_loss: the loss of contrast, which decides whether a column of scores or labels is read.
    """

    inputs: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    group: str | None = None
    pair_loss: PairLoss | None = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class RowOptions:
    """How the rows of files are read.

    Raises:
        ConfigError: naming the field, its value and what was expected.
    """

    columns: Annotated[
        tuple[str, ...],
        Option(
            "Column of the sequences (default: found by its name); twice for a pair of texts; for "
            "contrast the anchor, its positive, then any negatives.",
            group=_DATA, unit="NAME", flags=("--column",),
        ),
    ] = ()  # fmt: skip
    labels: Annotated[
        tuple[str, ...],
        Option(
            "Column of labels, tags, numbers or scores (default: by its name); repeatable.",
            group=_DATA, unit="NAME", flags=("--label", "--target"),
        ),
    ] = ()  # fmt: skip
    label_separator: Annotated[
        str | None,
        Option(
            "Separator between labels, such as ';', if a row can have several.",
            group=_DATA, advanced=True, unit="TEXT",
        ),
    ] = None  # fmt: skip
    on_overflow: Annotated[
        Literal["truncate", "window"],
        Option(
            "classify, regress: read the beginning of a text longer than the model allows "
            "(truncate), or all of it in overlapping windows, whose vectors are merged (window).",
            group=_DATA, advanced=True, unit="ACTION",
        ),
    ] = "truncate"  # fmt: skip
    input_format: Annotated[
        TextFormat | None,
        Option("Format of files whose names do not show it.", group=_DATA, advanced=True),
    ] = None  # fmt: skip
    delimiter: Annotated[
        str | None,
        Option(
            "Character between the fields of .csv and .tsv, or tab (default: comma, semicolon, tab "
            "or |, whichever the header of a .csv contains, and tab in .tsv).",
            group=_DATA, advanced=True, unit="CHARACTER",
        ),
    ] = None  # fmt: skip
    encoding: Annotated[
        str | None,
        Option(
            "Encoding of text files, such as windows-1252 or shift_jis (default: UTF-8, or UTF-16 "
            "with a byte order mark).",
            group=_DATA, advanced=True, unit="NAME",
        ),
    ] = None  # fmt: skip
    max_row_size: Annotated[
        int | None,
        Option(
            "Longest line, field, record or text, such as 100MB; a longer one is an error (default "
            "16MiB).",
            group=_DATA, advanced=True, unit="SIZE", minimum=1,
        ),
    ] = None  # fmt: skip

    def __post_init__(self) -> None:
        check_options(self)
        if self.label_separator == "":
            raise ConfigError("label_separator='': expected a separator, such as ';'")

    @property
    def file_options(self) -> FileOptions:
        """How to read the files."""
        return FileOptions(
            input_format=self.input_format,
            delimiter=self.delimiter,
            encoding=self.encoding,
            max_row_size=self.max_row_size or DEFAULT_ROW_SIZE,
        )

    @property
    def names(self) -> ColumnNames:
        """The columns that the user named."""
        return ColumnNames(inputs=self.columns, labels=self.labels)


@dataclasses.dataclass(frozen=True, kw_only=True)
class DataOptions(RowOptions):
    """Which parts of the files a run learns from, and which it holds out.

    Raises:
        ConfigError: naming the field, its value and what was expected.
    """

    validation: Annotated[
        tuple[str, ...],
        Option(
            "File of validation data (default: hold out part of the training data).",
            group=_DATA, advanced=True, unit="FILE",
        ),
    ] = ()  # fmt: skip
    held_out: Annotated[
        float | None,
        Option(
            "Fraction of rows for validation (default 0.1, at most 10,000 rows).",
            group=_DATA, unit="FRACTION", minimum=0, below=1,
        ),
    ] = None  # fmt: skip
    split_by: Annotated[
        str | None,
        Option(
            "Keep rows with the same value in this column on one side of the split; `file` keeps "
            "files together.",
            group=_DATA, advanced=True, unit="NAME",
        ),
    ] = None  # fmt: skip
    rare_classes: Annotated[
        RareClasses | None,
        Option(
            "classify: what to do about classes with a single row: error, keep (train on it, and "
            "validate without it) or drop (default error).",
            group=_DATA, advanced=True,
        ),
    ] = None  # fmt: skip

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.held_out and self.validation:
            raise ConfigError("held_out does not apply with validation files; remove one of them")

    @property
    def names(self) -> ColumnNames:
        """The columns that the user named."""
        return dataclasses.replace(super().names, group=self.split_by)
