"""An encoder in torch for any config."""

from torch import nn

from bothways.model.baselines import AnyConfig, BaselineConfig
from bothways.model.baselines.any_encoder import initialize
from bothways.nn.baselines.convolution import ConvolutionEncoder
from bothways.nn.baselines.recurrent import RecurrentEncoder
from bothways.nn.encoder import TransformerEncoder
from bothways.nn.packed_encoder import PackedEncoder

__all__ = ["build_encoder", "count_parameters", "make_encoder"]


def build_encoder(config: AnyConfig) -> PackedEncoder:
    """The encoder of a config, whose weights are still to be filled in."""
    if not isinstance(config, BaselineConfig):
        return TransformerEncoder(config)
    return ConvolutionEncoder(config) if config.cell is None else RecurrentEncoder(config)


def make_encoder(config: AnyConfig, *, seed: int) -> PackedEncoder:
    """An encoder with fresh weights as training makes them, the same for the same seed."""
    encoder = build_encoder(config)
    encoder.load_weights(initialize(config, seed=seed))
    return encoder


def count_parameters(module: nn.Module) -> int:
    """How many numbers are trained."""
    return sum(parameter.numel() for parameter in module.parameters())
