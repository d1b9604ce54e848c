"""Read, check and tokenize labeled rows once for all encoders, as `bothways train` does."""

import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np

from bothways.errors import DataFileError
from bothways.lab.comparisons.data.settings import DataSettings
from bothways.model.baselines import EncoderName
from bothways.training.data.dataset import Dataset
from bothways.training.data.training_data import TrainingData
from bothways.training.engine.rng import generator
from bothways.training.objectives.objective import Objective
from bothways.training.options.data import DataOptions
from bothways.training.options.new_model import NewModelOptions
from bothways.training.options.objective import ObjectiveOptions
from bothways.training.setup.base_model import BaseModel, create_base_model, write_reader
from bothways.training.setup.build import build_objective

__all__ = ["ComparisonRows", "read_rows"]


@dataclasses.dataclass(frozen=True, eq=False)
class ComparisonRows:
    """Tokenized rows for training, for choosing the learning rate, and for the reported scores.

    label_names: of classes, tags or number columns. most_frequent: index of that label.
    base_model: returns an untrained model for an encoder name and a seed.
    objective: returns the training objective for such a model.
    """

    train: Dataset
    validation: Dataset
    test: Dataset
    label_names: tuple[str, ...]
    most_frequent: int
    base_model: Callable[[EncoderName, int], BaseModel]
    objective: Callable[[BaseModel], Objective]


def read_rows(settings: DataSettings, scratch: Path) -> ComparisonRows:
    """Read the file; `scratch` is an empty folder for the tokenizer.

    Raises:
        DataFileError: naming the file, row and column of invalid data.
    """
    options = DataOptions(
        columns=settings.column, labels=settings.label, held_out=settings.held_out
    )
    fresh = NewModelOptions(size=settings.size, alphabet=settings.alphabet or None)
    data = TrainingData.read(settings.task, [settings.file], options, kind=fresh.kind, seed=0)
    kind = data.source.kind
    write_reader(scratch, kind, fresh, settings.task, data.sequences)

    def base_model(encoder: EncoderName, seed: int) -> BaseModel:
        model = dataclasses.replace(fresh, encoder=encoder)
        return create_base_model(
            scratch,
            kind,
            model,
            settings.task,
            longest=data.survey.longest,
            shortest=data.survey.shortest,
            seed=seed,
        )

    first = base_model("transformer", 0)
    examples = data.tokenize(first.reader, first.folder.spec.max_length)
    held_out = None if examples.validation is None else examples.validation.to_dataset()
    if held_out is None or len(held_out) < 2:
        raise DataFileError(f"{settings.file}: too few rows to hold out any for the scores")
    order = generator(0, "validation").permutation(len(held_out))
    validation, test = (
        _select(held_out, indices[: settings.max_eval_rows])
        for indices in (order[::2], order[1::2])
    )
    return ComparisonRows(
        train=examples.train.to_dataset(),
        validation=validation,
        test=test,
        label_names=data.survey.labels,
        most_frequent=int(np.argmax(data.survey.counts)) if len(data.survey.counts) else 0,
        base_model=base_model,
        objective=lambda start: build_objective(
            settings.task, ObjectiveOptions(), start, data.survey, examples.train
        ),
    )


def _select(dataset: Dataset, indices: np.ndarray) -> Dataset:
    return Dataset([dataset[i] for i in indices.tolist()], dataset.lengths[indices])
