"""Tiny models with heads, with random weights that make every part matter."""

from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import numpy as np
import pytest
from tests.support.models import TEXT, write_model

from bothways.inference.backends import BackendName
from bothways.model.config import EncoderConfig
from bothways.model.heads import Head
from bothways.native import is_built
from bothways.sequences import SequenceReader


class MakeModel(Protocol):
    """Write a model folder with heads, which reads text by default."""

    def __call__(
        self,
        *heads: Head,
        config: EncoderConfig = TEXT,
        reader: SequenceReader | None = None,
    ) -> Path: ...


BACKENDS: list[BackendName] = ["reference", "torch", "native"]


@pytest.fixture(params=BACKENDS)
def backend(request: pytest.FixtureRequest) -> BackendName:
    name: BackendName = request.param
    if name == "native" and not is_built():
        pytest.skip("bothways was installed without its engine")
    return name


@pytest.fixture
def make_model(make_weights: Callable[..., dict[str, np.ndarray]], tmp_path: Path) -> MakeModel:
    def make(
        *heads: Head, config: EncoderConfig = TEXT, reader: SequenceReader | None = None
    ) -> Path:
        return write_model(tmp_path, make_weights(config), *heads, config=config, reader=reader)

    return make
