"""Training of estimators: from sequences and targets in memory to a model folder."""

import dataclasses
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from sklearn.model_selection import train_test_split

from bothways.checkpoints import resolve
from bothways.errors import TruncationWarning
from bothways.model.config import HeadPooling
from bothways.model.heads import Head
from bothways.model.inputs import InputKind
from bothways.sequences import fit_to_length
from bothways.sklearn.notices import Notices
from bothways.training.data.dataset import Dataset, Example, InputSequence
from bothways.training.engine.loop import fit
from bothways.training.engine.start_options import StartOptions
from bothways.training.objectives.classify import Classify
from bothways.training.objectives.heads import head_for
from bothways.training.objectives.objective import Objective
from bothways.training.objectives.regress import Regress
from bothways.training.options.new_model import NewModelOptions
from bothways.training.runs.events import EventCallback
from bothways.training.settings import TrainingSettings
from bothways.training.setup.base_model import (
    BaseModel,
    create_base_model,
    load_base_model,
    write_reader,
)
from bothways.training.setup.build import build_model
from bothways.training.setup.sizes import DataShape, choose_defaults

__all__ = ["Targets", "TrainingOptions", "train_model"]


@dataclasses.dataclass(frozen=True, eq=False)
class Targets:
    """What the head learns to predict.

    task: of the head. values: the index of the class of each sequence, int (n,), or numbers,
    float32 (n, V). names: of the classes or of the V values. class_weights: a weight for each
    class, or None.
    """

    task: Literal["classes", "values"]
    values: np.ndarray
    names: Sequence[str]
    class_weights: np.ndarray | None = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class TrainingOptions:
    """How a model is trained.

    source: the model to fine-tune; None for a new one, made by `new_model`. pooling: of the head.
    validation_fraction: fraction of the sequences that choose the best weights; 0 for none.
    progress: called after each step and validation. notices: gives warnings about sequences.
    """

    source: str | None
    new_model: NewModelOptions
    pooling: HeadPooling
    validation_fraction: float
    settings: TrainingSettings
    progress: EventCallback | None
    notices: Notices


def train_model(
    out: Path, sequences: Sequence[Any], targets: Targets, options: TrainingOptions
) -> None:
    """Train a model with a head for these targets, and write its folder to `out`.

    Raises:
        BothwaysError: as `bothways.training`; an InputError names the sequence that is invalid.
        ValueError: if `validation_fraction` leaves too few sequences of a class.
    """
    seed = options.settings.seed
    with tempfile.TemporaryDirectory() as scratch:
        start = _start(Path(scratch), sequences, options)
        examples = _examples(start, sequences, targets.values, options.notices)
        head = head_for(targets.task, start.folder.config, targets.names, pooling=options.pooling)
        train, validation = np.arange(len(examples)), None
        if options.validation_fraction:
            train, validation = train_test_split(
                train,
                test_size=options.validation_fraction,
                stratify=targets.values if targets.task == "classes" else None,
                random_state=seed,
            )
        objective = _objective(head, targets, train)
        fit(
            build_model(objective, start, seed=seed),
            objective,
            _dataset(examples, train),
            None if validation is None else _dataset(examples, validation),
            options.settings,
            out,
            template=start.folder,
            from_scratch=start.from_scratch,
            options=StartOptions(progress=options.progress),
        )


def _objective(head: Head, targets: Targets, train: np.ndarray) -> Objective:
    """The objective; train: indices of the training sequences, whose numbers set the scale."""
    if targets.task == "classes":
        return Classify(head=head, class_weights=targets.class_weights)
    return Regress.on(head, targets.values[train])


def _start(folder: Path, sequences: Sequence[Any], options: TrainingOptions) -> BaseModel:
    new_model = options.new_model
    if options.source is not None:
        return load_base_model(
            resolve(options.source), fields=new_model.fields, max_length=new_model.max_length
        )
    kind: InputKind = "text" if isinstance(sequences[0], str) else "series"
    if new_model.alphabet is not None or isinstance(sequences[0], list | tuple):
        kind = "symbols"
    lengths = [len(sequence) for sequence in sequences]
    shape = DataShape(len(sequences), min(lengths), max(lengths))
    new_model = choose_defaults(new_model, kind, "classify", shape)
    write_reader(folder, kind, new_model, "classify", lambda: sequences)
    return create_base_model(
        folder,
        kind,
        new_model,
        "classify",
        longest=shape.longest,
        seed=options.settings.seed,
    )


def _examples(
    start: BaseModel, sequences: Sequence[Any], target: np.ndarray, notices: Notices
) -> list[Example]:
    """One example per sequence, cut to the maximum length of the model."""
    examples = []
    truncated = 0
    max_length = start.folder.spec.max_length
    for index, tokenized in enumerate(start.reader.read(sequences, max_length=max_length)):
        fitted = fit_to_length(tokenized, max_length, "truncate", index=index)
        truncated += fitted.truncated
        (values,), (segments,) = fitted.windows, fitted.segments
        content = slice(tokenized.prefix, len(values) - tokenized.suffix)
        piece = InputSequence(values, segments, content)
        examples.append(Example((piece,), target[index], f"sequence {index}"))
    if truncated:
        notices.give(
            TruncationWarning(
                f"{truncated} of {len(examples)} sequences were longer than {max_length} positions "
                "and were cut"
            )
        )
    return examples


def _dataset(examples: Sequence[Example], indices: np.ndarray) -> Dataset:
    selected = [examples[index] for index in indices.tolist()]
    return Dataset(selected, np.array([example.num_tokens for example in selected]))
