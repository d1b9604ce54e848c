"""Training of `SequenceClassifier`: from sequences and classes in memory to a model folder."""

import dataclasses
import tempfile
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.model_selection import train_test_split

from bothways.checkpoints import resolve
from bothways.errors import TruncationWarning
from bothways.model.config import HeadPooling
from bothways.model.inputs import InputKind
from bothways.sequences import fit_to_length
from bothways.training.data.dataset import Dataset, Example, InputSequence
from bothways.training.engine.loop import fit
from bothways.training.objectives.classify import Classify
from bothways.training.objectives.heads import head_for
from bothways.training.options.new_model import NewModelOptions
from bothways.training.settings import TrainingSettings
from bothways.training.setup.base_model import (
    BaseModel,
    create_base_model,
    load_base_model,
    write_reader,
)
from bothways.training.setup.build import build_model

__all__ = ["train_classifier"]


def train_classifier(
    out: Path,
    sequences: Sequence[Any],
    target: np.ndarray,
    names: Sequence[str],
    *,
    source: str | None,
    options: NewModelOptions,
    pooling: HeadPooling,
    class_weights: np.ndarray | None,
    validation_fraction: float,
    batch_tokens: int | None,
    settings: TrainingSettings,
) -> None:
    """Train a classifier and write its model folder to `out`.

    target: index of the class of each sequence, (n,). names: the names of the classes.
    class_weights: a weight for each class, or None. source: the model to fine-tune; None for a new
        one. batch_tokens: tokens of a training step; None for a default that depends on the data.

    Raises:
        BothwaysError: as `bothways.training`; an InputError names the sequence that is invalid.
        ValueError: if `validation_fraction` leaves too few sequences of a class.
    """
    with tempfile.TemporaryDirectory() as scratch:
        start = _start(Path(scratch), sequences, source, options, settings.seed)
        examples = _examples(start, sequences, target)
        head = head_for("classes", start.folder.config, names, pooling=pooling)
        objective = Classify(head=head, class_weights=class_weights)
        train, validation = np.arange(len(target)), None
        if validation_fraction:
            train, validation = train_test_split(
                train, test_size=validation_fraction, stratify=target, random_state=settings.seed
            )
        training_data = _dataset(examples, train)
        fit(
            build_model(objective, start, seed=settings.seed),
            objective,
            training_data,
            None if validation is None else _dataset(examples, validation),
            dataclasses.replace(settings, batch_tokens=batch_tokens),
            out,
            template=start.folder,
            from_scratch=start.from_scratch,
        )


def _start(
    folder: Path, sequences: Sequence[Any], source: str | None, options: NewModelOptions, seed: int
) -> BaseModel:
    if source is not None:
        return load_base_model(
            resolve(source), fields=options.fields, max_length=options.max_length
        )
    kind: InputKind = "text" if isinstance(sequences[0], str) else "series"
    if options.alphabet is not None or isinstance(sequences[0], list | tuple):
        kind = "symbols"
    write_reader(folder, kind, options, "classify", lambda: sequences)
    longest = max(map(len, sequences))
    return create_base_model(folder, kind, options, "classify", longest=longest, seed=seed)


def _examples(start: BaseModel, sequences: Sequence[Any], target: np.ndarray) -> list[Example]:
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
        warnings.warn(
            f"{truncated} of {len(examples)} sequences were longer than "
            f"{max_length} positions and were cut",
            TruncationWarning,
            stacklevel=5,
        )
    return examples


def _dataset(examples: Sequence[Example], indices: np.ndarray) -> Dataset:
    selected = [examples[index] for index in indices.tolist()]
    return Dataset(selected, np.array([example.num_tokens for example in selected]))
