"""Read, check and tokenize labeled rows once for all encoders, as `bothways train` does."""

import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np

from bothways.errors import DataFileError
from bothways.lab.comparisons.data.settings import DataSettings
from bothways.model.baselines import EncoderName
from bothways.training.data.dataset import Dataset
from bothways.training.data.examples import TargetForm
from bothways.training.data.training_data import TrainingData
from bothways.training.engine.rng import generator
from bothways.training.objectives.objective import Objective
from bothways.training.options.data import DataOptions
from bothways.training.options.new_model import NewModelOptions
from bothways.training.options.objective import ObjectiveOptions
from bothways.training.setup.base_model import BaseModel, create_base_model, write_reader
from bothways.training.setup.build import build_objective
from bothways.training.setup.sizes import DataShape, choose_defaults
from bothways.training.simple_models.comparison import fit_simple_models
from bothways.training.simple_models.fitting import SimpleModel

__all__ = ["ComparisonRows", "read_rows"]


@dataclasses.dataclass(frozen=True, eq=False)
class ComparisonRows:
    """Tokenized rows for training, for choosing the learning rate, and for the reported scores.

    form: of the targets. label_names: of classes, tags or number columns. most_frequent: index of
        the most frequent label.
    simple_models: returns simple models of the same rows, with predictions for the test rows in
        the order of the indices that it is given.
    base_model: returns an untrained model for an encoder name and a seed.
    objective: returns the training objective for such a model.
    """

    train: Dataset
    validation: Dataset
    test: Dataset
    form: TargetForm
    label_names: tuple[str, ...]
    most_frequent: int
    base_model: Callable[[EncoderName, int], BaseModel]
    objective: Callable[[BaseModel], Objective]
    simple_models: Callable[[np.ndarray], list[SimpleModel]]


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
    shape = DataShape(data.num_training, data.survey.shortest, data.survey.longest)
    fresh = choose_defaults(fresh, kind, settings.task, shape)
    write_reader(scratch, kind, fresh, settings.task, data.sequences)

    def base_model(encoder: EncoderName, seed: int) -> BaseModel:
        model = dataclasses.replace(fresh, encoder=encoder)
        return create_base_model(
            scratch,
            kind,
            model,
            settings.task,
            longest=data.survey.longest,
            seed=seed,
        )

    first = base_model("transformer", 0)
    examples = data.tokenize(first.reader, first.folder.spec.max_length)
    held_out = examples.validation
    if held_out is None or len(held_out) < 2:
        raise DataFileError(f"{settings.file}: too few rows to hold out any for the scores")
    order = generator(0, "validation").permutation(len(held_out))
    validation_rows, test_rows = (
        np.sort(indices[: settings.max_eval_rows]) for indices in (order[::2], order[1::2])
    )
    test = held_out.select(test_rows)

    def simple_models(order: np.ndarray) -> list[SimpleModel]:
        return fit_simple_models(data, examples.train, test, order, seed=0, held_out_rows=test_rows)

    return ComparisonRows(
        train=examples.train.to_dataset(),
        validation=held_out.select(validation_rows).to_dataset(),
        test=test.to_dataset(),
        form=test.form,
        simple_models=simple_models,
        label_names=data.survey.labels,
        most_frequent=int(np.argmax(data.survey.counts)) if len(data.survey.counts) else 0,
        base_model=base_model,
        objective=lambda start: build_objective(
            settings.task, ObjectiveOptions(), start, data.survey, examples.train
        ),
    )
