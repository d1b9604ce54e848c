"""The baselines in PyTorch: packed tokens in, a vector per position out, like the Transformer.

`bothways.model.baselines` defines their configs. Read `encoder` first, then `recurrent` and
`convolution`.
"""

from bothways.nn.baselines.build import build_encoder, count_parameters, make_encoder

__all__ = ["build_encoder", "count_parameters", "make_encoder"]
