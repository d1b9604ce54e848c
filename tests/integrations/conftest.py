"""Small models for the adapters: two of the same architecture, and one that scores pairs."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from tests.support.models import TEXT, write_model

from bothways.model.heads import Head, HeadLayer

MakeWeights = Callable[..., dict[str, np.ndarray]]

PROMPTS = {"query": "a river ", "document": "the "}
SCORES = Head(
    task="values",
    layers=(HeadLayer(name="heads.values", outputs=1),),
    pooling="mean",
    labels=("score",),
)


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory, make_weights: MakeWeights) -> Path:
    """A model with prompts for queries and documents."""
    path = tmp_path_factory.mktemp("one")
    return write_model(path, make_weights(TEXT), prompts=PROMPTS)


@pytest.fixture(scope="session")
def other_folder(tmp_path_factory: pytest.TempPathFactory, make_weights: MakeWeights) -> Path:
    """A model of the same size with other weights."""
    path = tmp_path_factory.mktemp("other")
    return write_model(path, make_weights(TEXT, seed=1), prompts=PROMPTS)


@pytest.fixture(scope="session")
def scoring_folder(tmp_path_factory: pytest.TempPathFactory, make_weights: MakeWeights) -> Path:
    """A model with a head that scores pairs of texts."""
    path = tmp_path_factory.mktemp("scoring")
    return write_model(path, make_weights(TEXT), SCORES)
