"""Encoders to hold the Transformer against: what they are, and how large. No torch; see `nn`."""

from bothways.baselines.any_encoder import AnyConfig, EncoderName
from bothways.baselines.config import BASELINES, BaselineConfig, BaselineName
from bothways.baselines.matching import matched_config

__all__ = [
    "BASELINES",
    "AnyConfig",
    "BaselineConfig",
    "BaselineName",
    "EncoderName",
    "matched_config",
]
