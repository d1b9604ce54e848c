"""Everything a run can be told, in five groups; a TOML file has a table for each.

[data] which columns, what is held out. [model] the model to start from, or how a fresh one is made.
[encoder] fields of a fresh model's `EncoderConfig`. [objective] how the task is learned.
[training] the loop's settings.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, Literal, Self, TypeVar, get_args, get_origin

from bothways.errors import ConfigError
from bothways.files.formats import TextFormat
from bothways.model.baselines import EncoderName
from bothways.model.config import PoolingMode
from bothways.model.inputs import InputKind
from bothways.model.old_fields import upgrade_encoder_fields
from bothways.training.data.columns import ColumnNames, Task
from bothways.training.settings import TrainingSettings, check_type
from bothways.training.setup.sizes import Architecture, SizeName

__all__ = [
    "TABLES",
    "DataOptions",
    "FreshModel",
    "ObjectiveOptions",
    "TrainingPlan",
    "Vocabulary",
]

Vocabulary = Literal["wordpiece", "bpe", "unigram"]
Similarity = Literal["cosine", "dot"]

TABLES = ("data", "model", "encoder", "objective", "training")


@dataclasses.dataclass(frozen=True, kw_only=True)
class DataOptions:
    """What of the files is learned from, and what is held out.

    columns: of the sequences; two for a pair, or for contrast the anchor, its positive and any
        negatives. labels: of the class, the tags or the numbers. Empty for those with usual names.
    validation: files to validate on; empty for a part of the data.
    held_out: the share of rows to validate on; None for a tenth, of at most 10,000. 0 for none.
    split_by: the column whose values stay on one side of the split; `file` for whole files.
    label_separator: what parts the labels of a text, where a row may have several.
    input_format: of files whose names do not tell.
    """

    columns: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    validation: tuple[str, ...] = ()
    held_out: float | None = None
    split_by: str | None = None
    label_separator: str | None = None
    input_format: TextFormat | None = None

    def __post_init__(self) -> None:
        if self.held_out is not None and not 0 <= self.held_out < 1:
            raise ConfigError(f"held_out={self.held_out}: expected a share, at least 0 and below 1")
        if self.held_out and self.validation:
            raise ConfigError("held_out is for data without validation files; leave one out")
        if self.label_separator == "":
            raise ConfigError("label_separator='': expected what parts labels, such as ';'")

    @property
    def names(self) -> ColumnNames:
        """The columns, as data files are read with them."""
        return ColumnNames(inputs=self.columns, labels=self.labels, group=self.split_by)


@dataclasses.dataclass(frozen=True, kw_only=True)
class FreshModel:
    """How a fresh model is made.

    size, architecture, fields: of a Transformer, as `sizes.new_config` takes them.
    encoder: `transformer`; or a baseline with as many weights as that would have, and as many
        layers, unless `encoder_layers` says otherwise.
    max_length: the longest sequence, in positions; None for 512, or more for symbols and series
        that are longer.
    alphabet: of symbols, as `vocabulary.choose_alphabet` takes it; None for those that occur.
    vocabulary, vocab_size, lowercase: of text, as `vocabulary.train_tokenizer` takes them. None for
        the size that goes with the encoder's, and for lower case but where words are tagged.
    """

    size: SizeName = "small"
    architecture: Architecture = "modern"
    encoder: EncoderName = "transformer"
    encoder_layers: int | None = None
    max_length: int | None = None
    alphabet: str | None = None
    vocabulary: Vocabulary = "wordpiece"
    vocab_size: int | None = None
    lowercase: bool | None = None
    fields: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.encoder_layers is not None and self.encoder == "transformer":
            raise ConfigError(
                "encoder_layers is for other encoders than the Transformer, whose num_layers is a "
                "field of [encoder]"
            )

    @property
    def kind(self) -> InputKind | None:
        """What an alphabet says the sequences are; None without one: the data tell."""
        return "symbols" if self.alphabet else None


@dataclasses.dataclass(frozen=True, kw_only=True)
class ObjectiveOptions:
    """How a task is learned; None for the objective's own default.

    mlm: mask_rate, the share of tokens or positions that is chosen; of these the shares `masked`
        and `random`; whole_words, whether all tokens of a word are chosen together; span, how many
        positions of a series are hidden together.
    classify, regress: head_pooling, how positions become the vector that the head takes.
    classify, tag: class_weights, `balanced` for rare classes to count as much as frequent ones;
        label_smoothing.
    regress: huber, from where on an error, in standard deviations, counts linearly.
    contrast: temperature; similarity; symmetric, whether positives also find their anchors;
        dimensions, of leading parts of the vectors that are to serve too (Matryoshka).
    All but contrast: head_dropout.
    """

    head_pooling: PoolingMode | None = None
    head_dropout: float | None = None
    class_weights: Literal["balanced"] | None = None
    label_smoothing: float | None = None
    huber: float | None = None
    mask_rate: float | None = None
    masked: float | None = None
    random: float | None = None
    whole_words: bool | None = None
    span: int | None = None
    temperature: float | None = None
    similarity: Similarity | None = None
    symmetric: bool | None = None
    dimensions: tuple[int, ...] = ()

    def check(self, task: Task) -> None:
        """Raise if something is said that the task has no use for.

        Raises:
            ConfigError: naming it, and the tasks that have.
        """
        for name, tasks in _USED_BY.items():
            if task not in tasks and getattr(self, name) not in (None, ()):
                raise ConfigError(f"{name} is for {' and '.join(tasks)}, not for {task}")

    def given(self, *names: str, **renamed: str) -> dict[str, Any]:
        """The options that the user chose, for a constructor; `renamed` says its names for some."""
        wanted = {name: name for name in names} | renamed
        values = {theirs: getattr(self, ours) for theirs, ours in wanted.items()}
        return {name: value for name, value in values.items() if value is not None}


_USED_BY: Mapping[str, tuple[Task, ...]] = {
    "head_pooling": ("classify", "regress"),
    "head_dropout": ("classify", "regress", "tag"),
    "class_weights": ("classify", "tag"),
    "label_smoothing": ("classify", "tag"),
    "huber": ("regress",),
    "mask_rate": ("mlm",),
    "masked": ("mlm",),
    "random": ("mlm",),
    "whole_words": ("mlm",),
    "span": ("mlm",),
    "temperature": ("contrast",),
    "similarity": ("contrast",),
    "symmetric": ("contrast",),
    "dimensions": ("contrast",),
}

_FRESH_ONLY = (
    "size",
    "architecture",
    "encoder",
    "encoder_layers",
    "alphabet",
    "vocabulary",
    "vocab_size",
    "lowercase",
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class TrainingPlan:
    """A run, before anything has been read.

    source: the model to start from, as `bothways.load` takes it; None for a fresh one.
    fresh: how that is made; of a model to start from, `fields` may change what no encoding depends
        on, and `max_length` may be less.
    """

    task: Task
    files: tuple[str, ...]
    out: str
    source: str | None = None
    data: DataOptions = dataclasses.field(default_factory=DataOptions)
    fresh: FreshModel = dataclasses.field(default_factory=FreshModel)
    objective: ObjectiveOptions = dataclasses.field(default_factory=ObjectiveOptions)
    settings: TrainingSettings = dataclasses.field(default_factory=TrainingSettings)

    def __post_init__(self) -> None:
        if not self.files:
            raise ConfigError("no data: expected at least one file")
        self.objective.check(self.task)

    @classmethod
    def of(
        cls,
        task: Task,
        files: Sequence[str],
        out: str,
        tables: Mapping[str, Mapping[str, Any]] | None = None,
    ) -> Self:
        """A plan from tables as a TOML file has them: lists for tuples, absent for defaults.

        In [model], `from` is the model to start from.

        Raises:
            ConfigError: naming table and option that there is not, or has a wrong value.
        """
        tables = tables or {}
        model = dict(tables.get("model", {}))
        source = model.pop("from", None)
        if source is not None:
            for name in _FRESH_ONLY:
                if name in model:
                    raise ConfigError(
                        f"[model] {name}: is for a fresh model, and {source!r} has its own"
                    )
        fresh = _options(FreshModel, "model", model)
        return cls(
            task=task,
            files=tuple(files),
            out=out,
            source=source,
            data=_options(DataOptions, "data", tables.get("data", {})),
            fresh=dataclasses.replace(
                fresh, fields=upgrade_encoder_fields(tables.get("encoder", {}))
            ),
            objective=_options(ObjectiveOptions, "objective", tables.get("objective", {})),
            settings=TrainingSettings.from_mapping(tables.get("training", {}), "[training]"),
        )


_T = TypeVar("_T", DataOptions, FreshModel, ObjectiveOptions)


def _options(kind: type[_T], table: str, values: Mapping[str, Any]) -> _T:
    fields = {field.name: field for field in dataclasses.fields(kind) if field.name != "fields"}
    given: dict[str, Any] = {}
    for name, value in values.items():
        if name not in fields:
            raise ConfigError(f"[{table}] has no {name!r}; there are {', '.join(fields)}")
        given[name] = _checked(f"[{table}] {name}", value, fields[name].type)
    try:
        return kind(**given)
    except ConfigError as error:
        raise ConfigError(f"[{table}] {error}") from None


def _checked(name: str, value: Any, kind: Any) -> Any:
    """The value, if it is of the annotated type; a list as a tuple."""
    if get_origin(kind) is not tuple:
        check_type(name, value, kind)
        return value
    (item, _) = get_args(kind)
    items = value if isinstance(value, list | tuple) else [value]
    for place, each in enumerate(items):
        check_type(f"{name}[{place}]" if len(items) > 1 else name, each, item)
    return tuple(items)
