"""The torch encoder of any config."""

from torch import nn

from bothways.model.baselines import AnyConfig, BaselineConfig
from bothways.model.baselines.any_encoder import initialize
from bothways.nn.baselines.convolution import ConvolutionEncoder
from bothways.nn.baselines.recurrent import RecurrentEncoder
from bothways.nn.encoder import TransformerEncoder
from bothways.nn.packed_encoder import PackedEncoder

__all__ = ["build_encoder", "count_parameters", "make_encoder"]


def build_encoder(config: AnyConfig) -> PackedEncoder:
    """The encoder of a config, with weights that are still to be loaded."""
    if not isinstance(config, BaselineConfig):
        return TransformerEncoder(config)
    return ConvolutionEncoder(config) if config.cell is None else RecurrentEncoder(config)


def make_encoder(config: AnyConfig, *, seed: int) -> PackedEncoder:
    """An encoder with the random initial weights of training, determined by the seed."""
    encoder = build_encoder(config)
    encoder.load_weights(initialize(config, seed=seed))
    return encoder


def count_parameters(module: nn.Module) -> int:
    """Number of trained parameters."""
    return sum(parameter.numel() for parameter in module.parameters())
