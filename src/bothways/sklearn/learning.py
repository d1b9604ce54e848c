"""Sequences and classes in memory to a trained model folder: what `SequenceClassifier.fit` does."""

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
from bothways.model.config import PoolingMode
from bothways.model.inputs import InputKind
from bothways.sequences import fit_to_length
from bothways.training.data.dataset import Dataset, Example, Piece
from bothways.training.engine.loop import fit
from bothways.training.objectives.classify import Classify
from bothways.training.objectives.heads import head_for
from bothways.training.plan import FreshModel
from bothways.training.settings import TrainingSettings
from bothways.training.setup.base_model import Start, go_on_from, start_fresh, write_reader
from bothways.training.setup.build import make_model

__all__ = ["learn_classes"]


def learn_classes(
    out: Path,
    sequences: Sequence[Any],
    target: np.ndarray,
    names: Sequence[str],
    *,
    source: str | None,
    fresh: FreshModel,
    pooling: PoolingMode,
    class_weights: np.ndarray | None,
    validation_fraction: float,
    batch_tokens: int | None,
    settings: TrainingSettings,
) -> None:
    """Train a classifier and leave its model folder in `out`.

    target: the index of each sequence's class, (n,). names: of the classes. class_weights: by
        class, or None. source: the model to train on; None for a fresh one.
    batch_tokens: of a step; None for as many as suit the data.

    Raises:
        BothwaysError: as `training.start` and `training.loop` raise them; an InputError names the
            sequence that cannot be read.
        ValueError: if `validation_fraction` leaves too few of a class.
    """
    with tempfile.TemporaryDirectory() as scratch:
        start = _start(Path(scratch), sequences, source, fresh, settings.seed)
        examples = _examples(start, sequences, target)
        head = head_for("classes", start.folder.config, names, pooling=pooling)
        objective = Classify(head=head, class_weights=class_weights)
        train, validation = np.arange(len(target)), None
        if validation_fraction:
            train, validation = train_test_split(
                train, test_size=validation_fraction, stratify=target, random_state=settings.seed
            )
        learned = _dataset(examples, train)
        fit(
            make_model(objective, start, seed=settings.seed),
            objective,
            learned,
            None if validation is None else _dataset(examples, validation),
            dataclasses.replace(settings, batch_tokens=batch_tokens),
            out,
            template=start.folder,
            fresh=start.fresh,
        )


def _start(
    folder: Path, sequences: Sequence[Any], source: str | None, fresh: FreshModel, seed: int
) -> Start:
    if source is not None:
        return go_on_from(resolve(source), fields=fresh.fields, max_length=fresh.max_length)
    kind: InputKind = "text" if isinstance(sequences[0], str) else "series"
    if fresh.alphabet is not None or isinstance(sequences[0], list | tuple):
        kind = "symbols"
    write_reader(folder, kind, fresh, "classify", lambda: sequences)
    longest = max(map(len, sequences))
    return start_fresh(folder, kind, fresh, "classify", longest=longest, seed=seed)


def _examples(start: Start, sequences: Sequence[Any], target: np.ndarray) -> list[Example]:
    """An example of each sequence, cut to what the model takes."""
    examples = []
    truncated = 0
    for index, tokenized in enumerate(start.reader.read(sequences)):
        fitted = fit_to_length(tokenized, start.folder.max_length, "truncate", index=index)
        truncated += fitted.truncated
        (values,), (segments,) = fitted.windows, fitted.segments
        content = slice(tokenized.prefix, len(values) - tokenized.suffix)
        piece = Piece(values, segments, content)
        examples.append(Example((piece,), target[index], f"sequence {index}"))
    if truncated:
        warnings.warn(
            f"{truncated} of {len(examples)} sequences were longer than {start.folder.max_length} "
            "positions and were cut",
            TruncationWarning,
            stacklevel=5,
        )
    return examples


def _dataset(examples: Sequence[Example], chosen: np.ndarray) -> Dataset:
    own = [examples[index] for index in chosen.tolist()]
    return Dataset(own, np.array([example.num_tokens for example in own]))
