"""Tiny models for views, with random weights that make every part matter."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from tests.support.heads import TAGS, TOKENS, pooled_head
from tests.support.models import TEXT, write_model

import bothways
from bothways import Encoder

Weights = Callable[..., dict[str, np.ndarray]]


@pytest.fixture(scope="session")
def plain(make_weights: Weights, tmp_path_factory: pytest.TempPathFactory) -> Encoder:
    """A model of text without heads."""
    folder = write_model(tmp_path_factory.mktemp("plain"), make_weights(TEXT))
    return bothways.load(folder, backend="reference")


@pytest.fixture(scope="session")
def heads_folder(make_weights: Weights, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of text with heads for classes, tags and masked tokens."""
    heads = (pooled_head("classes"), TAGS, TOKENS)
    return write_model(tmp_path_factory.mktemp("heads"), make_weights(TEXT), *heads)


@pytest.fixture(scope="session")
def with_heads(heads_folder: Path) -> Encoder:
    return bothways.load(heads_folder, backend="reference")
