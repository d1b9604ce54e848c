"""Encoders that stand where the Transformer stands: packed tokens in, a vector per position out.

`bothways.model.baselines` defines them. Read `encoder` first, then `recurrent` and `convolution`.
"""

from bothways.nn.baselines.build import build_encoder, count_parameters, make_encoder

__all__ = ["build_encoder", "count_parameters", "make_encoder"]
