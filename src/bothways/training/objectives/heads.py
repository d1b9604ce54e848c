"""The heads that training puts on an encoder, where its folder has none that serves."""

from collections.abc import Sequence
from typing import assert_never

from bothways.config import EncoderConfig, PoolingMode
from bothways.errors import ConfigError
from bothways.heads import Head, HeadLayer, HeadTask

__all__ = ["head_for"]


def head_for(
    task: HeadTask,
    config: EncoderConfig,
    labels: Sequence[str] = (),
    *,
    pooling: PoolingMode = "mean",
    dropout: float | None = None,
) -> Head:
    """The usual head for a task on an encoder of `config`.

    labels: of classes, tags or values; none for masked tokens and masked values.
    pooling: of heads on whole sequences. With `cls`, a dense layer with tanh stands between, which
        makes the first position a summary (Devlin et al. 2019, and BERT's released code); other
        poolings go to the output layer directly.
    dropout: None for the encoder's.

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
            return Head(task=task, layers=(_output(names),), labels=names, dropout=rate)
        case "classes" | "multilabel" | "values":
            pooler = HeadLayer(name="heads.pooler", outputs=config.d_model, activation="tanh")
            layers = (*([pooler] if pooling == "cls" else []), _output(names))
            return Head(task=task, layers=layers, pooling=pooling, labels=names, dropout=rate)
        case unknown:
            assert_never(unknown)


def _output(labels: tuple[str, ...]) -> HeadLayer:
    if not labels:
        raise ConfigError("a head of classes, tags or values needs at least one label")
    return HeadLayer(name="heads.classifier", outputs=len(labels))


def _token_layers(config: EncoderConfig) -> tuple[HeadLayer, ...]:
    """A dense layer, and the embeddings' own table as output (Devlin et al. 2019, released code).

    Press and Wolf 2017, "Using the output embedding to improve language models", for the table.
    """
    if config.input != "tokens":
        raise ConfigError("masked tokens are for encoders with input='tokens'")
    dense = HeadLayer(
        name="heads.masked_tokens.dense",
        outputs=config.embedding_width,
        activation=config.activation,
        norm="heads.masked_tokens.norm",
        norm_bias=config.norm_bias,
        norm_eps=config.norm_eps,
    )
    output = HeadLayer(name="heads.masked_tokens", outputs=config.vocab_size, tied=True)
    return dense, output
