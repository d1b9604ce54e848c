"""Functions for the config of any encoder, a Transformer or a baseline."""

from collections.abc import Mapping
from typing import Literal

import numpy as np

from bothways.errors import UnsupportedModel
from bothways.model import layout as transformer
from bothways.model.baselines import layout as baseline
from bothways.model.baselines.config import BaselineConfig, BaselineName
from bothways.model.config import EncoderConfig
from bothways.model.layout import Shape

__all__ = ["AnyConfig", "EncoderName", "initialize", "layout", "name_of", "require_transformer"]

AnyConfig = EncoderConfig | BaselineConfig
EncoderName = Literal["transformer", BaselineName]


def layout(config: AnyConfig) -> Mapping[str, Shape]:
    """Name and shape of every weight of an encoder."""
    if isinstance(config, BaselineConfig):
        return baseline.layout(config)
    return transformer.layout(config)


def initialize(config: AnyConfig, *, seed: int = 0) -> dict[str, np.ndarray]:
    """Random float32 weights, determined by the seed."""
    if isinstance(config, BaselineConfig):
        return baseline.initialize(config, seed=seed)
    return transformer.initialize(config, seed=seed)


def name_of(config: AnyConfig) -> EncoderName:
    """The name of such an encoder on the command line."""
    return config.kind if isinstance(config, BaselineConfig) else "transformer"


def require_transformer(config: AnyConfig, who: str, instead: str) -> EncoderConfig:
    """The config, if it is a Transformer's.

    who: subject and verb of the message, to complete `... Transformers alone`.
    instead: what the user can do.

    Raises:
        UnsupportedModel: if it is a baseline's.
    """
    if isinstance(config, BaselineConfig):
        raise UnsupportedModel(
            f"{who} Transformers alone, and this encoder is of the kind {config.kind!r}; {instead}"
        )
    return config
