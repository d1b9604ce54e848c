"""Tiny models for the tests of the server."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from tests.support.heads import TAGS, TOKENS, pooled_head
from tests.support.models import TEXT, write_model

from bothways import Encoder, load

MakeWeights = Callable[..., dict[str, np.ndarray]]


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory: pytest.TempPathFactory, make_weights: MakeWeights) -> Path:
    """A model of text with prompts, and heads for classes, tags and masked tokens."""
    return write_model(
        tmp_path_factory.mktemp("tiny"),
        make_weights(TEXT),
        *(pooled_head("classes"), TAGS, TOKENS),
        prompts={"query": "the river "},
    )


@pytest.fixture(scope="session")
def ranker_folder(tmp_path_factory: pytest.TempPathFactory, make_weights: MakeWeights) -> Path:
    """A model that scores pairs of texts."""
    return write_model(
        tmp_path_factory.mktemp("ranker"),
        make_weights(TEXT, seed=1),
        pooled_head("values", outputs=1),
    )


@pytest.fixture(scope="session")
def tiny(tiny_folder: Path) -> Encoder:
    return load(tiny_folder, threads=1)


@pytest.fixture(scope="session")
def ranker(ranker_folder: Path) -> Encoder:
    return load(ranker_folder, threads=1)
