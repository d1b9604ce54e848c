"""The heads that training puts on an encoder, where its folder has none that serves."""

from collections.abc import Sequence
from typing import assert_never

from bothways.errors import ConfigError
from bothways.model.baselines import AnyConfig
from bothways.model.config import PoolingMode
from bothways.model.heads import Head, HeadLayer, HeadTask

__all__ = ["head_for"]


def head_for(
    task: HeadTask,
    config: AnyConfig,
    labels: Sequence[str] = (),
    *,
    pooling: PoolingMode = "mean",
    dropout: float | None = None,
) -> Head:
    """The usual head for a task on an encoder of `config`.

    labels: of classes, tags or values; none for masked tokens and masked values.
    pooling: of heads on whole sequences.
    dropout: None for the encoder's.

    A linear layer gives the labels. Before it, encoders with norms before their sublayers have a
    dense layer with activation and norm (Warner et al. 2024, released code); others, for `cls`
    pooling, one with tanh, which makes the first position a summary (Devlin et al. 2019, likewise).

    Raises:
        ConfigError: if labels are missing, or the encoder's input does not go with the task.
    """
    rate = config.dropout if dropout is None else dropout
    names = tuple(labels)
    match task:
        case "masked_tokens":
            return Head(task=task, layers=_token_layers(config), dropout=0.0)
        case "masked_values":
            if config.input != "vectors":
                raise ConfigError("masked values are for encoders with input='vectors'")
            output = HeadLayer(name="heads.masked_values", outputs=config.num_channels)
            return Head(task=task, layers=(output,), dropout=0.0)
        case "tags":
            layers = _label_layers(names, config, pooling=None)
            return Head(task=task, layers=layers, labels=names, dropout=rate)
        case "classes" | "multilabel" | "values":
            layers = _label_layers(names, config, pooling)
            return Head(task=task, layers=layers, pooling=pooling, labels=names, dropout=rate)
        case unknown:
            assert_never(unknown)


def _label_layers(
    labels: tuple[str, ...], config: AnyConfig, pooling: PoolingMode | None
) -> tuple[HeadLayer, ...]:
    if not labels:
        raise ConfigError("a head of classes, tags or values needs at least one label")
    output = HeadLayer(name="heads.classifier", outputs=len(labels))
    if config.norm_placement == "pre":
        return _dense("heads.classifier", config.d_model, config), output
    if pooling == "cls":
        summary = HeadLayer(name="heads.pooler", outputs=config.d_model, activation="tanh")
        return summary, output
    return (output,)


def _token_layers(config: AnyConfig) -> tuple[HeadLayer, ...]:
    """A dense layer, and the embeddings' own table as output (Devlin et al. 2019, released code).

    Press and Wolf 2017, "Using the output embedding to improve language models", for the table.
    """
    if config.input != "tokens":
        raise ConfigError("masked tokens are for encoders with input='tokens'")
    output = HeadLayer(name="heads.masked_tokens", outputs=config.vocab_size, tied=True)
    return _dense("heads.masked_tokens", config.embedding_width, config), output


def _dense(name: str, outputs: int, config: AnyConfig) -> HeadLayer:
    """A dense layer with activation and norm, before the output layer of that name."""
    return HeadLayer(
        name=f"{name}.dense",
        outputs=outputs,
        activation=config.activation,
        norm=f"{name}.norm",
        norm_bias=config.norm_bias,
        norm_eps=config.norm_eps,
    )
