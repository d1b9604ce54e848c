"""Recurrent and convolutional baselines: configs, layouts and sizes; `nn.baselines` computes."""

from bothways.model.baselines.any_encoder import AnyConfig, EncoderName
from bothways.model.baselines.config import BASELINES, BaselineConfig, BaselineName
from bothways.model.baselines.matching import matched_config

__all__ = [
    "BASELINES",
    "AnyConfig",
    "BaselineConfig",
    "BaselineName",
    "EncoderName",
    "matched_config",
]
