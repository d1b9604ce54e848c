"""What stands on an encoder: small networks that make classes, tags, values or tokens of vectors.

A head is data, as the encoder is: which vectors it takes, which linear maps, norms and activations
follow, and what its outputs mean. `reference.heads` computes it from the vectors of any backend;
`nn.heads` is its twin for training. Its weights lie in a model file under names beginning `heads.`.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any, Literal, Self, get_args

import numpy as np

from bothways.errors import CheckpointError, ConfigError
from bothways.model.config import Activation, EncoderShape, PoolingMode

__all__ = ["Head", "HeadActivation", "HeadLayer", "HeadTask", "check_head", "head_layout"]

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

_PREFIX = "heads."
_POOLED: tuple[HeadTask, ...] = ("classes", "multilabel", "values")
_UNLABELED: tuple[HeadTask, ...] = ("masked_tokens", "masked_values")
_ACTIVATIONS = ("identity", "tanh", *get_args(Activation))


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

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            value, expected = getattr(self, field.name), _LAYER_TYPES[field.name]
            if not isinstance(value, expected) or (
                isinstance(value, bool) and bool not in expected  # to Python a bool is an int
            ):
                names = " or ".join(t.__name__.replace("NoneType", "None") for t in expected)
                raise ConfigError(f"{field.name}={value!r} of a head's layer: expected {names}")
        for name in filter(None, (self.name, self.norm)):
            if not name.startswith(_PREFIX) or not name.isprintable():
                raise ConfigError(f"{name!r}: a head's layer has a name that begins with {_PREFIX}")
        if self.outputs < 1:
            raise ConfigError(f"{self.name}: outputs={self.outputs}: expected at least 1")
        if self.activation not in _ACTIVATIONS:
            raise ConfigError(
                f"{self.name}: activation={self.activation!r}: "
                f"expected one of {', '.join(_ACTIVATIONS)}"
            )
        if not 0 <= self.norm_eps < float("inf"):
            raise ConfigError(f"{self.name}: norm_eps={self.norm_eps}: expected at least 0")


_LAYER_TYPES: dict[str, tuple[type, ...]] = {
    "name": (str,),
    "outputs": (int,),
    "bias": (bool,),
    "activation": (str,),
    "norm": (str, type(None)),
    "norm_bias": (bool,),
    "norm_eps": (float, int),
    "tied": (bool,),
}


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
            raise ConfigError(
                f"task={self.task!r}: expected one of {', '.join(get_args(HeadTask))}"
            )
        if not self.layers:
            raise ConfigError("a head needs at least one layer")
        if (self.pooling is not None) != (self.task in _POOLED) or (
            self.pooling is not None and self.pooling not in get_args(PoolingMode)
        ):
            raise ConfigError(f"pooling={self.pooling!r} does not go with task={self.task!r}")
        if self.task in _UNLABELED:
            if self.labels:
                raise ConfigError(f"labels for task={self.task!r}: expected none")
        elif len(self.labels) != self.num_outputs:
            raise ConfigError(f"{len(self.labels)} labels for a head of {self.num_outputs} outputs")
        if not all(isinstance(label, str) for label in self.labels):
            raise ConfigError("labels: expected strings")
        if not isinstance(self.dropout, float | int) or not 0 <= self.dropout < 1:
            raise ConfigError(f"dropout={self.dropout!r}: expected at least 0, below 1")
        if any(layer.tied for layer in self.layers[:-1]):
            raise ConfigError("only the last layer of a head can be tied to the token embeddings")
        names = [name for layer in self.layers for name in (layer.name, layer.norm) if name]
        if len(set(names)) < len(names):
            raise ConfigError(f"layers {', '.join(names)}: expected a name of its own for each")

    @property
    def num_outputs(self) -> int:
        """How many numbers the head gives, for a sequence or a position."""
        return self.layers[-1].outputs

    def to_dict(self) -> dict[str, Any]:
        """The fields as JSON values."""
        fields = dataclasses.asdict(self)
        return fields | {"layers": list(fields["layers"]), "labels": list(self.labels)}

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> Self:
        """The inverse of `to_dict`.

        Raises:
            ConfigError: for a field that does not exist, is missing, or has a wrong value.
        """
        values = _known(cls, fields)
        for name in ("layers", "labels"):
            if not isinstance(values.get(name, []), list | tuple):
                raise ConfigError(f"{name} of a head: expected a list")
        layers = []
        for layer in values["layers"]:
            if not isinstance(layer, Mapping):
                raise ConfigError("layers of a head: expected objects")
            layers.append(HeadLayer(**_known(HeadLayer, layer)))
        labels = tuple(values.get("labels", ()))
        return cls(**(values | {"layers": tuple(layers), "labels": labels}))


def head_layout(head: Head, config: EncoderShape) -> dict[str, tuple[int, ...]]:
    """Name and shape of every weight of a head on an encoder; matrices are (out, in)."""
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


def check_head(
    head: Head, config: EncoderShape, arrays: Mapping[str, np.ndarray], source: str
) -> None:
    """Raise unless a head fits the encoder, and all its weights are there.

    `source` is the file that the message names. Weights that are no part of the head may be there.

    Raises:
        CheckpointError: naming the layer or weight that does not fit.
    """
    _check_ends(head, config, source)
    for name, shape in head_layout(head, config).items():
        if name not in arrays:
            raise CheckpointError(f"{source}: weight {name!r} of the head is missing")
        if arrays[name].shape != shape:
            raise CheckpointError(
                f"{source}: weight {name!r} has shape {arrays[name].shape}; the head says {shape}"
            )


def _check_ends(head: Head, config: EncoderShape, source: str) -> None:
    last = head.layers[-1]
    expected = {"masked_tokens": config.vocab_size, "masked_values": config.num_channels}
    if head.num_outputs != expected.get(head.task, head.num_outputs):
        raise CheckpointError(
            f"{source}: a head for {head.task} with {head.num_outputs} outputs; "
            f"the encoder has {expected[head.task]} of them"
        )
    if last.tied:
        width = head.layers[-2].outputs if len(head.layers) > 1 else config.d_model
        if config.input != "tokens" or (last.outputs, width) != (
            config.vocab_size,
            config.embedding_width,
        ):
            raise CheckpointError(
                f"{source}: layer {last.name!r} of a head is tied to the token embeddings, "
                f"and has {width} inputs and {last.outputs} outputs"
            )


def _known(kind: type[Head] | type[HeadLayer], fields: Mapping[str, Any]) -> dict[str, Any]:
    known = {field.name: field for field in dataclasses.fields(kind)}
    if unknown := sorted(set(fields) - set(known)):
        raise ConfigError(f"unknown field {unknown[0]!r}; {kind.__name__} has {', '.join(known)}")
    for name, field in known.items():
        if field.default is dataclasses.MISSING and name not in fields:
            raise ConfigError(f"field {name!r} of {kind.__name__} is missing")
    return dict(fields)
