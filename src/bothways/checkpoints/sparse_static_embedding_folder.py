"""Weights of the tokens that a text has: the module `SparseStaticEmbedding`, such as IDF.

Here it is an encoder of one dimension without layers, whose row for a token is its weight. A last
row of zero stands for texts without tokens.
"""

import dataclasses
from pathlib import Path

import numpy as np

from bothways.checkpoints.model_bundle import ModelBundle
from bothways.checkpoints.reader_files import TOKENIZER_CONFIG
from bothways.checkpoints.sentence_transformers_files import SettingsFiles
from bothways.checkpoints.static_embedding_folder import TABLE, table_of_tokens
from bothways.checkpoints.weight_files import inside, read_weights, write_safetensors
from bothways.errors import CheckpointError, UnsupportedModel
from bothways.io.json_files import brief, is_number, read_object, read_optional_object, write_json
from bothways.model.terms import TermWeighting

__all__ = [
    "read_sparse_static_embedding",
    "weights_in_json",
    "write_sparse_static_embedding",
]

_FAMILY = "sparse-static-embedding"
_WEIGHT = "weight"


def read_sparse_static_embedding(files: SettingsFiles, folder: Path) -> ModelBundle:
    """Read the weights of tokens, and the limit of length of the tokenizer beside them.

    Raises:
        CheckpointError: if a file is missing or malformed, or weights and tokenizer do not fit.
        MissingExtra: if the weights are in torch's format and torch is not installed.
    """
    config_file = folder / "config.json"
    fields = files.read(config_file)
    fields.drop(("frozen",))  # of training
    fields.drop(("path",))  # which `weights_in_json` reads
    files.finish(fields)
    table = weights_in_json(folder)
    weight, source = _stored(folder) if table is None else (_of_json(table, folder), table)
    rows = np.append(weight, 0).astype(np.float32)[:, None]
    config, spec = table_of_tokens(len(weight), 1)
    limit = read_optional_object(folder / TOKENIZER_CONFIG).get("model_max_length")
    if type(limit) is int and limit >= 1:  # "no limit" is a number of thirty digits, or absent
        spec = dataclasses.replace(spec, max_length=min(limit, config.max_length))
    spec = dataclasses.replace(spec, terms=TermWeighting(source="tokens"))
    return ModelBundle.of(spec, {TABLE: rows}, str(source), path=folder, family=_FAMILY)


def weights_in_json(folder: Path) -> Path | None:
    """The file of the weights of tokens, if the settings in the folder name one in JSON.

    Raises:
        CheckpointError: if its path leaves the folder.
    """
    file = folder / "config.json"
    path = read_optional_object(file).get("path")
    return inside(folder, path, file) if isinstance(path, str) and path.endswith(".json") else None


def write_sparse_static_embedding(out: Path, model: ModelBundle) -> None:
    """Write the weights, the tokenizer and the settings of a model of weights of tokens.

    Raises:
        UnsupportedModel: if texts without tokens have a weight.
    """
    table = model.weights[TABLE]
    if table[-1].any() or model.spec.lowercase:
        raise UnsupportedModel(
            f"{model.path}: a weight of texts without tokens, or texts in lower case, which "
            "SparseStaticEmbedding of sentence-transformers cannot express"
        )
    write_safetensors(out / "model.safetensors", {_WEIGHT: np.ascontiguousarray(table[:-1, 0])})
    write_json(out / "config.json", {"frozen": False})


def _stored(folder: Path) -> tuple[np.ndarray, Path]:
    """The weight of each token id, and the file that it is from."""
    arrays, file, _ = read_weights(folder)
    weight = arrays.get(_WEIGHT)
    if weight is None or weight.ndim != 1 or not weight.size or weight.dtype.kind != "f":
        raise CheckpointError(f"{file}: expected {_WEIGHT}: one number for each token")
    return weight, file


def _of_json(file: Path, folder: Path) -> np.ndarray:
    """The weight of each token id, from an object of tokens and their weights."""
    # Imported here: other models work without the tokenizers library.
    from tokenizers import Tokenizer

    from bothways.checkpoints.tokenizers.files import open_tokenizer

    tokenizer = open_tokenizer(folder)
    if not isinstance(tokenizer, Tokenizer):
        raise CheckpointError(f"{folder}: no tokenizer, whose ids the tokens of {file} have")
    weight = np.zeros(tokenizer.get_vocab_size(), np.float32)
    for token, value in read_object(file).items():
        index = tokenizer.token_to_id(token)
        if index is None or not is_number(value):
            raise CheckpointError(
                f"{file}: {brief(token)}: {brief(value)}: expected a token of the vocabulary, and "
                "a number"
            )
        weight[index] = value
    return weight
