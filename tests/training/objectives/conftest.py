"""What the tests of objectives share: small examples, batches, and a model trained on them."""

from collections.abc import Callable, Sequence

import numpy as np
import pytest
import torch
from torch import Tensor

from bothways.model.config import EncoderConfig
from bothways.model.heads import Head
from bothways.model.layout import initialize
from bothways.nn.lengths import Lengths
from bothways.training.data.dataset import Example, InputSequence
from bothways.training.model import Batch, TrainedModel
from bothways.training.objectives.objective import Objective, PreparedBatch

FIRST_ORDINARY = 4
"""Ids below it are special: begin, end, unknown, mask."""


def make_config(**fields: object) -> EncoderConfig:
    """A tiny encoder of 24 tokens without dropout."""
    known = {
        "num_layers": 1,
        "num_heads": 2,
        "d_model": 32,
        "d_ff": 64,
        "vocab_size": 24,
        "max_length": 16,
        "dropout": 0.0,
        "attention_dropout": 0.0,
    }
    return EncoderConfig(**(known | fields))  # type: ignore[arg-type]


def make_piece(rng: np.random.Generator, length: int) -> InputSequence:
    """Begin, `length` random ordinary tokens, end."""
    ids = np.concatenate([[0], rng.integers(FIRST_ORDINARY, 24, length), [1]])
    return InputSequence(ids, None, slice(1, length + 1))


def make_examples(
    count: int,
    target: Callable[[InputSequence, int], np.ndarray | None] = lambda piece, index: None,
    *,
    pieces: int = 1,
) -> list[Example]:
    """Sequences of 3 to 8 random tokens, and targets made from the first piece and its index."""
    rng = np.random.default_rng(0)
    examples = []
    for index in range(count):
        found = tuple(make_piece(rng, int(rng.integers(3, 9))) for _ in range(pieces))
        examples.append(Example(found, target(found[0], index), f"row {index}"))
    return examples


def make_batch(prepared: PreparedBatch, dtype: torch.dtype = torch.float32) -> Batch:
    """A prepared batch as tensors, its real numbers in `dtype`."""

    def to_tensor(array: np.ndarray) -> Tensor:
        tensor = torch.as_tensor(array)
        return tensor.to(dtype) if tensor.is_floating_point() else tensor

    packed = prepared.packed
    return Batch(
        to_tensor(packed.values),
        Lengths(packed.lengths),
        None if packed.segments is None else to_tensor(packed.segments),
        {name: to_tensor(array) for name, array in prepared.targets.items()},
    )


def build_model(head: Head | None, config: EncoderConfig | None = None) -> TrainedModel:
    """A fresh model; weights larger than the usual, so that a gradient reaches all of them."""
    config = config or make_config()
    return TrainedModel.build(config, initialize(config, seed=1, scale=0.1), head)


def fit(
    objective: Objective, examples: Sequence[Example], model: TrainedModel, steps: int
) -> dict[str, float]:
    """Train on all examples at once, the same masks in each step; the metrics on them after."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    prepared = objective.prepare(examples, np.random.default_rng(0))
    batch = make_batch(prepared)
    for _ in range(steps):
        optimizer.zero_grad()
        torch.autograd.backward(objective.loss(model.train(), batch) / prepared.weight)
        optimizer.step()
    return objective.metrics(objective.evaluate(model.eval(), batch))


@pytest.fixture(name="make_config", scope="session")
def make_config_fixture() -> Callable[..., EncoderConfig]:
    return make_config


@pytest.fixture(name="make_examples", scope="session")
def make_examples_fixture() -> Callable[..., list[Example]]:
    return make_examples


@pytest.fixture(name="make_batch", scope="session")
def make_batch_fixture() -> Callable[..., Batch]:
    return make_batch


@pytest.fixture(name="build_model", scope="session")
def make_model_fixture() -> Callable[..., TrainedModel]:
    return build_model


@pytest.fixture(name="fit", scope="session")
def fit_fixture() -> Callable[..., dict[str, float]]:
    return fit
