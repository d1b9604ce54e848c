"""Default task heads, for encoders whose folder has no suitable head."""

from collections.abc import Sequence
from typing import assert_never

from bothways.errors import ConfigError
from bothways.model.baselines import AnyConfig
from bothways.model.config import HeadPooling
from bothways.model.heads import Head, HeadLayer, HeadTask

__all__ = ["head_for"]


def head_for(
    task: HeadTask,
    config: AnyConfig,
    labels: Sequence[str] = (),
    *,
    pooling: HeadPooling = "mean",
    dropout: float | None = None,
) -> Head:
    """The default head for a task on an encoder of `config`.

    labels: of classes, tags or values; empty for masked tokens and masked values.
    pooling: for heads on whole sequences.
    dropout: None for the encoder's rate.

    The output layer is linear. Pre-norm encoders get a dense layer with activation and norm first
    (Warner et al. 2024, released code); others, with `cls` pooling, a dense layer with tanh, which
    summarizes the sequence in its first position (Devlin et al. 2019, released code).

    Raises:
        ConfigError: if labels are missing, or the task does not apply to the encoder's input.
    """
    rate = config.dropout if dropout is None else dropout
    names = tuple(labels)
    match task:
        case "masked_tokens":
            return Head(task=task, layers=_token_layers(config), dropout=0.0)
        case "masked_values":
            if config.input != "vectors":
                raise ConfigError("masked values need an encoder with input='vectors'")
            output = HeadLayer(name="heads.masked_values", outputs=config.num_channels)
            return Head(task=task, layers=(output,), dropout=0.0)
        case "answer_spans":
            raise ConfigError("heads for answer_spans are read, not trained")
        case "tags":
            layers = _label_layers(names, config, pooling=None)
            return Head(task=task, layers=layers, labels=names, dropout=rate)
        case "classes" | "multilabel" | "values":
            layers = _label_layers(names, config, pooling)
            return Head(task=task, layers=layers, pooling=pooling, labels=names, dropout=rate)
        case unknown:
            assert_never(unknown)


def _label_layers(
    labels: tuple[str, ...], config: AnyConfig, pooling: HeadPooling | None
) -> tuple[HeadLayer, ...]:
    if not labels:
        raise ConfigError("a head of classes, tags or values needs at least one label")
    output = HeadLayer(name="heads.classifier", outputs=len(labels))
    if config.norm_placement != "post":
        return _dense("heads.classifier", config.d_model, config), output
    if pooling == "cls":
        summary = HeadLayer(name="heads.pooler", outputs=config.d_model, activation="tanh")
        return summary, output
    return (output,)


def _token_layers(config: AnyConfig) -> tuple[HeadLayer, ...]:
    """A dense layer, and the token embeddings as output layer (Devlin et al. 2019, released code).

    Tied embeddings: Press and Wolf 2017, "Using the output embedding to improve language models".
    """
    if config.input != "tokens":
        raise ConfigError("masked tokens need an encoder with input='tokens'")
    output = HeadLayer(name="heads.masked_tokens", outputs=config.vocab_size, tied=True)
    return _dense("heads.masked_tokens", config.embedding_width, config), output


def _dense(name: str, outputs: int, config: AnyConfig) -> HeadLayer:
    """A dense layer with activation and norm, before the output layer `name`."""
    return HeadLayer(
        name=f"{name}.dense",
        outputs=outputs,
        activation=config.activation,
        norm=f"{name}.norm",
        norm_bias=config.norm_bias,
        norm_eps=config.norm_eps,
    )
