"""What a model folder holds, whoever wrote it: an encoder, heads, and the way to one vector."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np

from bothways.model.baselines import AnyConfig
from bothways.model.baselines.any_encoder import require_transformer
from bothways.model.config import EncoderConfig, PoolingMode
from bothways.model.heads import Head

__all__ = [
    "READER_FILES",
    "SIMILARITIES",
    "Dense",
    "DenseActivation",
    "ModelFolder",
    "Normalize",
    "Pooling",
]

DenseActivation = Literal["identity", "tanh", "sigmoid", "relu", "gelu", "gelu_tanh", "silu"]

SIMILARITIES = ("cosine", "dot", "euclidean", "manhattan")
"""What vectors may be made to be compared with; the distances count negatively."""

READER_FILES = (
    # Of bothways.
    "alphabet.json",
    "series.json",
    # Of the tokenizers library and of transformers.
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.txt",
    "vocab.json",
    "merges.txt",
    "sentencepiece.bpe.model",
    "spiece.model",
    "tokenizer.model",
)
"""Files that say how sequences become tokens; `sequences` reads them, export copies them."""


@dataclasses.dataclass(frozen=True)
class Pooling:
    """How the vectors of a sequence become one: the vectors of `modes`, side by side.

    include_prompt: whether the positions of a prompt are pooled too.
    """

    modes: tuple[PoolingMode, ...] = ("mean",)
    include_prompt: bool = True


@dataclasses.dataclass(frozen=True, eq=False)
class Dense:
    """A linear layer on pooled vectors: activation(x Wᵀ + b).

    weight: float32 (out, in). bias: float32 (out,), or None.
    """

    weight: np.ndarray
    bias: np.ndarray | None
    activation: DenseActivation


@dataclasses.dataclass(frozen=True)
class Normalize:
    """Pooled vectors divided by their Euclidean length."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class ModelFolder:
    """A model folder, read and checked.

    path: the folder. reader_path: where the files of its tokenizer, alphabet or series are, which
        in some old sentence-transformers folders is a folder within.
    family: `model_type` of the config.json, or `bothways` for folders that bothways wrote.
    config, weights: the encoder, a Transformer or a baseline; exactly its layout, float32.
    heads: what stands on the encoder in the file, under names that begin with `heads.`, float32.
    head_configs: what computes with them; at most one head of each task. unread_heads: why some of
        them belong to none of these; "" if all do.
    head_settings: fields of the config.json that say what the heads are, their labels, and ids of
        special tokens; as they stand in the file.
    lowercase: whether text is lowercased before it is tokenized.
    pooling, modules: how one vector is made of the last hidden states, and what follows, in order.
    prompts: texts by name. default_prompt: the name of the one used by default.
    similarity: the name of the function that vectors are made to be compared with.
    max_length: the longest sequence, in tokens, special tokens included.
    dimensions: how many leading dimensions of a vector are kept by default; None for all.
    """

    path: Path
    reader_path: Path
    family: str
    config: AnyConfig
    weights: dict[str, np.ndarray]
    heads: dict[str, np.ndarray]
    head_settings: Mapping[str, Any]
    head_configs: tuple[Head, ...] = ()
    unread_heads: str = ""
    lowercase: bool = False
    pooling: Pooling = Pooling()
    modules: tuple[Dense | Normalize, ...] = ()
    prompts: Mapping[str, str] = dataclasses.field(default_factory=dict)
    default_prompt: str | None = None
    similarity: str | None = None
    max_length: int
    dimensions: int | None = None

    @property
    def transformer(self) -> EncoderConfig:
        """The config, for those who know Transformers alone: other libraries, the reference.

        Raises:
            UnsupportedModel: if the encoder is another.
        """
        return require_transformer(
            self.config,
            f"{self.path}: other libraries take",
            "bothways alone runs it, on its torch backend",
        )
