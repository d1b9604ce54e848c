"""Task heads: layers that map encoder outputs to classes, tags, values or token logits.

A head is data, like an encoder's config: the vectors that it takes, its linear maps, norms and
activations, and the meaning of its outputs. `reference.heads` computes it from the vectors of any
backend, `nn.heads` in training. Its weights have names that begin with `heads.` in a model file.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any, Literal, Self

import numpy as np

from bothways.errors import CheckpointError, ConfigError
from bothways.model.config import Activation, EncoderShape, HeadPooling
from bothways.model.fields import check_field_names, check_field_types
from bothways.model.linear_terms import LinearTerm, NgramTerm, read_term, term_to_dict

__all__ = [
    "TIED_WEIGHT",
    "Head",
    "HeadActivation",
    "HeadLayer",
    "HeadTask",
    "check_head",
    "head_layout",
]

TIED_WEIGHT = "embedding.token.weight"
"""The encoder's weight that a tied layer uses as its matrix."""

HeadTask = Literal[
    "masked_tokens",  # logits over the vocabulary for each position
    "masked_values",  # the values of a series at each position
    "classes",  # one label per sequence
    "multilabel",  # any number of labels per sequence
    "tags",  # one label per position
    "values",  # one number per label, for each sequence
    "answer_spans",  # logits of an answer's start and end, at each position
]
"""The meaning of a head's outputs. A model folder has at most one head for each task."""

HeadActivation = Literal["identity", "tanh"] | Activation

_PREFIX = "heads."
_POOLED: tuple[HeadTask, ...] = ("classes", "multilabel", "values")
_UNLABELED: tuple[HeadTask, ...] = ("masked_tokens", "masked_values", "answer_spans")


@dataclasses.dataclass(frozen=True, kw_only=True)
class HeadLayer:
    """norm(activation(x Wᵀ + b)), with weights `{name}.weight` and `{name}.bias`.

    norm: name of the layer norm that follows the activation; None for no norm.
    tied: whether W is the token embedding table. The layer then has only a bias, `{name}.bias`.

    Raises:
        ConfigError: naming the field, its value, and the accepted values.
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
        check_field_types(self, owner=" of a head's layer")
        for name in filter(None, (self.name, self.norm)):
            if not name.startswith(_PREFIX) or not name.isprintable():
                raise ConfigError(
                    f"{name!r}: the name of a head's layer or norm must begin with {_PREFIX}"
                )
        if self.outputs < 1:
            raise ConfigError(f"{self.name}: outputs={self.outputs}: expected at least 1")
        if not 0 <= self.norm_eps < float("inf"):
            raise ConfigError(f"{self.name}: norm_eps={self.norm_eps}: expected at least 0")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Head:
    """A head: from the last hidden states of a sequence to its outputs.

    pooling: how positions are pooled into one vector; None for outputs at each position.
    layers: applied in turn; the outputs of the last layer are the head's.
    labels: the names of the outputs for classes, tags and values; empty for other tasks.
    dropout: applied in training to the input of the last layer.
    pools_outputs: whether the outputs of all positions are pooled, and not the vectors before them.
    linear_term: added to the outputs of a head that pools; None for nothing.

    Raises:
        ConfigError: naming the field, its value, and the accepted values.
    """

    task: HeadTask
    layers: tuple[HeadLayer, ...]
    pooling: HeadPooling | None = None
    labels: tuple[str, ...] = ()
    dropout: float = 0.0
    pools_outputs: bool = False
    linear_term: LinearTerm | None = None

    def __post_init__(self) -> None:
        check_field_types(self, owner=" of a head")
        if not self.layers:
            raise ConfigError("a head needs at least one layer")
        if (self.pooling is not None) != (self.task in _POOLED):
            raise ConfigError(f"pooling={self.pooling!r} does not go with task={self.task!r}")
        if self.pools_outputs and self.pooling is None:
            raise ConfigError("pools_outputs=True: expected a pooling")
        if self.linear_term is not None and self.pooling is None:
            raise ConfigError("a linear term of a head: expected a pooling")
        if self.task in _UNLABELED:
            if self.labels:
                raise ConfigError(f"labels for task={self.task!r}: expected none")
        elif len(self.labels) != self.num_outputs:
            raise ConfigError(f"{len(self.labels)} labels for a head of {self.num_outputs} outputs")
        if not all(isinstance(label, str) for label in self.labels):
            raise ConfigError("labels: expected strings")
        if not 0 <= self.dropout < 1:
            raise ConfigError(f"dropout={self.dropout!r} of a head: expected at least 0, below 1")
        if any(layer.tied for layer in self.layers[:-1]):
            raise ConfigError("only the last layer of a head can be tied to the token embeddings")
        names = [name for layer in self.layers for name in (layer.name, layer.norm) if name]
        if len(set(names)) < len(names):
            raise ConfigError(f"layers {', '.join(names)}: every layer and norm needs its own name")

    @property
    def num_outputs(self) -> int:
        """Number of outputs per sequence or position."""
        return self.layers[-1].outputs

    def to_dict(self) -> dict[str, Any]:
        """The fields as JSON values."""
        fields = dataclasses.asdict(self)
        if not self.pools_outputs:
            del fields["pools_outputs"]  # as in folders from before there was one
        if self.linear_term is None:
            del fields["linear_term"]
        else:
            fields["linear_term"] = term_to_dict(self.linear_term)
        return fields | {"layers": list(fields["layers"]), "labels": list(self.labels)}

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> Self:
        """The inverse of `to_dict`.

        Raises:
            ConfigError: if a field is unknown, missing, or has a wrong value.
        """
        check_field_names(cls, fields)
        values = dict(fields)
        for name in ("layers", "labels"):
            if not isinstance(values.get(name, []), list | tuple):
                raise ConfigError(f"{name} of a head: expected a list")
        layers = []
        for layer in values["layers"]:
            if not isinstance(layer, Mapping):
                raise ConfigError("layers of a head: expected objects")
            check_field_names(HeadLayer, layer)
            layers.append(HeadLayer(**layer))
        values |= {"layers": tuple(layers), "labels": tuple(values.get("labels", ()))}
        if values.get("linear_term") is not None:
            values["linear_term"] = read_term(values["linear_term"])
        return cls(**values)


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
    if head.linear_term is not None:
        inputs = config.num_channels if config.input == "vectors" else config.vocab_size
        names |= head.linear_term.layout(head.num_outputs, inputs)
    return names


def check_head(
    head: Head, config: EncoderShape, arrays: Mapping[str, np.ndarray], source: str
) -> None:
    """Raise unless a head fits the encoder and `arrays` has all its weights, in the right shapes.

    source: the file that the message names. `arrays` may have other weights as well.

    Raises:
        CheckpointError: naming the layer or weight that does not fit.
    """
    _check_outputs(head, config, source)
    for name, shape in head_layout(head, config).items():
        if name not in arrays:
            raise CheckpointError(f"{source}: weight {name!r} of the head is missing")
        if arrays[name].shape != shape:
            raise CheckpointError(
                f"{source}: weight {name!r} has shape {arrays[name].shape}; the head needs {shape}"
            )


def _check_outputs(head: Head, config: EncoderShape, source: str) -> None:
    last = head.layers[-1]
    expected = {
        "masked_tokens": config.vocab_size,
        "masked_values": config.num_channels,
        "answer_spans": 2,
    }
    if head.num_outputs != expected.get(head.task, head.num_outputs):
        raise CheckpointError(
            f"{source}: a head for {head.task} with {head.num_outputs} outputs; "
            f"expected {expected[head.task]}"
        )
    if isinstance(head.linear_term, NgramTerm) != (config.input == "tokens") and head.linear_term:
        raise CheckpointError(
            f"{source}: a linear term of {head.linear_term.kind}, and an encoder of {config.input}"
        )
    if last.tied:
        width = head.layers[-2].outputs if len(head.layers) > 1 else config.d_model
        if (last.outputs, width) != (config.vocab_size, config.embedding_width):
            raise CheckpointError(
                f"{source}: layer {last.name!r} of a head has {width} inputs and {last.outputs} "
                "outputs; it is tied to the token embeddings, which have another shape"
            )
