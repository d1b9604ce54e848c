"""Static embeddings: a table with one vector per token, whose mean is the vector of a text.

The module `StaticEmbedding` of sentence-transformers, which also reads the weights of model2vec.
Here it is an encoder without layers. A last row of zeros stands for texts without tokens, whose
vector is zero there.
"""

import dataclasses
from pathlib import Path

import numpy as np

from bothways.checkpoints.model_bundle import ModelBundle
from bothways.checkpoints.weight_files import read_weights, write_safetensors
from bothways.errors import CheckpointError, UnsupportedModel
from bothways.model.config import EncoderConfig
from bothways.model.pooling import MEAN
from bothways.model.spec import ModelSpec
from bothways.model.weights import Weights

__all__ = ["TABLE", "read_static_embedding", "table_of_tokens", "write_static_embedding"]

TABLE = "embedding.token.weight"
"""The only weight of an encoder without layers: a row for each token."""

_FAMILY = "static-embedding"

_THEIR_TABLE = "embedding.weight"
_MODEL2VEC = ("embeddings", "mapping", "weights")

_MAX_LENGTH = 2**20
"""The longest text, in tokens: sentence-transformers has no limit, and an engine needs one."""


def read_static_embedding(folder: Path) -> ModelBundle:
    """Read the table and the tokenizer's limit of length, of the folder of a StaticEmbedding.

    Raises:
        CheckpointError: if a file is missing or malformed, or the weights do not fit each other.
        UnsupportedModel: if its tokenizer cuts texts at their beginning.
        MissingExtra: if the weights are in torch's format and torch is not installed.
    """
    # Imported here: other models work without the tokenizers library.
    from bothways.checkpoints.tokenizers.files import truncation_of

    arrays, file, _ = read_weights(folder)
    table = _table(arrays, str(file))
    num_tokens, width = table.shape
    config, spec = table_of_tokens(num_tokens, width)
    limit = truncation_of(folder)
    if limit == 0:
        raise CheckpointError(f"{folder / 'tokenizer.json'}: truncation to 0 tokens")
    if limit is not None:
        spec = dataclasses.replace(spec, max_length=min(config.max_length, limit))
    rows = np.concatenate([table, np.zeros((1, width), table.dtype)])
    return ModelBundle.of(spec, {TABLE: rows}, str(file), path=folder, family=_FAMILY)


def write_static_embedding(out: Path, model: ModelBundle) -> None:
    """Write the table and the tokenizer of a model of static embeddings.

    Raises:
        UnsupportedModel: if the model is more than a table and a mean.
        CheckpointError: if its tokenizer is missing or malformed.
    """
    from bothways.checkpoints.tokenizers.files import write_with_limit

    spec, table = model.spec, model.weights[TABLE]
    config = model.transformer
    plain = dataclasses.replace(
        _config(config.vocab_size - 1, config.d_model),
        dropout=config.dropout,  # of training alone
        attention_dropout=config.attention_dropout,
    )
    if (
        (config, spec.pooling, spec.empty_token) != (plain, MEAN, config.vocab_size - 1)
        or spec.lowercase
        or table[-1].any()
    ):
        raise UnsupportedModel(
            f"{model.path}: more than a table and a mean, or a vector of texts without tokens "
            "that is not zero, which StaticEmbedding of sentence-transformers cannot express"
        )
    write_safetensors(out / "model.safetensors", {_THEIR_TABLE: table[:-1]})
    limit = spec.max_length if spec.max_length < config.max_length else None
    write_with_limit(model.reader_path, out, limit)


def table_of_tokens(num_tokens: int, width: int) -> tuple[EncoderConfig, ModelSpec]:
    """An encoder without layers for a table of `num_tokens` rows, and one for texts without any."""
    config = _config(num_tokens, width)
    return config, ModelSpec(config=config, max_length=config.max_length, empty_token=num_tokens)


def _config(num_tokens: int, width: int) -> EncoderConfig:
    return EncoderConfig(
        num_layers=0,
        num_heads=1,
        d_model=width,
        d_ff=1,
        max_length=_MAX_LENGTH,
        vocab_size=num_tokens + 1,
        embedding_norm=False,
        position_embedding="none",
        dropout=0.0,
        attention_dropout=0.0,
    )


def _table(arrays: Weights, file: str) -> np.ndarray:
    """One row per token, from the weights of either library.

    Raises:
        CheckpointError: if a weight is missing, or of another shape or type.
    """
    name = _THEIR_TABLE if _THEIR_TABLE in arrays else "embeddings"
    if name not in arrays:
        raise CheckpointError(
            f"{file}: no table of static embeddings: expected the weight {_THEIR_TABLE} of "
            f"sentence-transformers, or {', '.join(_MODEL2VEC)} of model2vec"
        )
    table = arrays[name]
    if table.ndim != 2 or not table.size:
        raise CheckpointError(f"{file}: weight {name} has shape {table.shape}; expected a table")
    if name == _THEIR_TABLE:
        return table
    _, mapping, weights = (arrays.get(each) for each in _MODEL2VEC)
    if mapping is not None:
        if mapping.ndim != 1 or not mapping.size or mapping.dtype.kind not in "iu":
            raise CheckpointError(f"{file}: weight mapping: expected a row of {name} per token")
        if mapping.min() < 0 or mapping.max() >= len(table):
            raise CheckpointError(
                f"{file}: weight mapping: expected rows of {name} from 0 to {len(table) - 1}"
            )
        table = table[mapping]
    if weights is not None:
        if weights.shape != table.shape[:1] or weights.dtype.kind != "f":
            raise CheckpointError(
                f"{file}: weight weights has shape {weights.shape}; expected one number for each "
                f"of {len(table)} tokens"
            )
        table = table.astype(np.float32) * weights[:, None].astype(np.float32)
    return table
