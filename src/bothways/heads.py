"""What stands on an encoder: small networks that make classes, tags, values or tokens of vectors.

A head is data, as the encoder is: which vectors it takes, which linear maps, norms and activations
follow, and what its outputs mean. `reference.heads` computes it from the vectors of any backend;
`nn.heads` is its twin for training. Its weights lie in a model file under names beginning `heads.`.
"""

import dataclasses
from typing import Literal, get_args

from bothways.config import Activation, EncoderConfig, PoolingMode
from bothways.errors import ConfigError

__all__ = ["Head", "HeadActivation", "HeadLayer", "HeadTask", "head_layout"]

HeadTask = Literal[
    "masked_tokens",  # logits of the vocabulary for each position
    "masked_values",  # the values of a series at each position
    "classes",  # one of the labels for a sequence
    "multilabel",  # any number of the labels for a sequence
    "tags",  # one of the labels for each position
    "values",  # one number for each label, for a sequence
]
"""What the outputs of a head mean. A model folder has at most one head of each task."""

HeadActivation = Literal["identity", "tanh"] | Activation


@dataclasses.dataclass(frozen=True, kw_only=True)
class HeadLayer:
    """norm(activation(x Wᵀ + b)); the weights are `{name}.weight` and `{name}.bias`.

    norm: the name of a layer norm that follows the activation; None for none.
    tied: whether W is the table of token embeddings, and only the bias is the layer's own, under
        `{name}.bias`.
    """

    name: str
    outputs: int
    bias: bool = True
    activation: HeadActivation = "identity"
    norm: str | None = None
    norm_bias: bool = True
    norm_eps: float = 1e-12
    tied: bool = False


@dataclasses.dataclass(frozen=True, kw_only=True)
class Head:
    """A head: from the last hidden states of a sequence to its outputs.

    pooling: how the positions become one vector; None for outputs at each position.
    layers: applied in turn; the outputs of the last are the head's.
    labels: the names of the outputs, for classes, tags and values; empty for masked tokens.
    dropout: in training, on what enters the last layer.
    """

    task: HeadTask
    layers: tuple[HeadLayer, ...]
    pooling: PoolingMode | None = None
    labels: tuple[str, ...] = ()
    dropout: float = 0.0

    def __post_init__(self) -> None:
        if self.task not in get_args(HeadTask):
            raise ConfigError(f"task={self.task!r}: expected one of {', '.join(get_args(HeadTask))}")
        if not self.layers:
            raise ConfigError("a head needs at least one layer")
        if self.labels and len(self.labels) != self.num_outputs:
            raise ConfigError(
                f"{len(self.labels)} labels for a head of {self.num_outputs} outputs"
            )
        if (self.pooling is not None) != (self.task in ("classes", "multilabel", "values")):
            raise ConfigError(f"pooling={self.pooling!r} does not go with task={self.task!r}")

    @property
    def num_outputs(self) -> int:
        """How many numbers the head gives, for a sequence or a position."""
        return self.layers[-1].outputs


def head_layout(head: Head, config: EncoderConfig) -> dict[str, tuple[int, ...]]:
    """Name and shape of every weight of a head on an encoder of `config`; matrices are (out, in)."""
    names: dict[str, tuple[int, ...]] = {}
    width = config.d_model
    for layer in head.layers:
        if not layer.tied:
            names[f"{layer.name}.weight"] = (layer.outputs, width)
        if layer.bias:
            names[f"{layer.name}.bias"] = (layer.outputs,)
        width = layer.outputs
        if layer.norm is not None:
            names[f"{layer.norm}.weight"] = (width,)
            if layer.norm_bias:
                names[f"{layer.norm}.bias"] = (width,)
    return names
