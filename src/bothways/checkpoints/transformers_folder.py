"""Reading a folder that transformers wrote: its config.json and its weights."""

from pathlib import Path
from typing import Any

import numpy as np

from bothways.checkpoints.families import FAMILIES
from bothways.checkpoints.family import Family
from bothways.checkpoints.head_forms import DECODER, read_heads
from bothways.checkpoints.model_folder import ModelFolder
from bothways.checkpoints.weight_files import read_weights, what_is_in
from bothways.errors import CheckpointError, UnsupportedModel
from bothways.io.json_files import brief, read_object
from bothways.model.weights import check, layout

__all__ = ["read_transformers"]


def read_transformers(folder: Path) -> ModelFolder:
    """The encoder of a transformers folder, with mean pooling and nothing after.

    Raises:
        CheckpointError: if a file is missing or malformed, or a weight is missing, unexpected, of
            the wrong shape, or not finite.
        UnsupportedModel: if bothways cannot run the architecture faithfully.
        MissingExtra: if the weights are in torch's format and torch is not installed.
    """
    config_file = folder / "config.json"
    if not config_file.is_file():
        raise CheckpointError(
            f"{folder}: not a model: looked for config.json, modules.json and bothways.json; "
            f"{what_is_in(folder)}"
        )
    values = read_object(config_file)
    family = _family(values.get("model_type"), config_file)
    config, settings = family.read_config(values, str(config_file))
    arrays, file = read_weights(folder)
    config = family.from_weights(config, arrays, str(file))
    named = family.fit(arrays.keys(), config).apply(arrays, str(file))
    heads = {name: array for name, array in named.items() if name.startswith("heads.")}
    weights = {name: named[name] for name in layout(config)}
    check(config, weights, str(file))
    check_heads(heads, str(file))
    _settle_decoder(heads, weights, settings)
    head_configs, unread = read_heads(family.heads, family.stem, config, settings, heads)
    return ModelFolder(
        path=folder,
        reader_path=folder,
        family=family.model_type,
        config=config,
        weights=weights,
        heads=heads,
        head_configs=head_configs,
        unread_heads=unread and f"{config_file}: {unread}",
        head_settings=settings | {"model_type": family.model_type},
        max_length=min(config.max_length, _tokenizer_length(folder) or config.max_length),
    )


def check_heads(heads: dict[str, np.ndarray], file: str) -> None:
    """Raise unless every head is in floating point and finite.

    Raises:
        CheckpointError: naming the weight.
    """
    for name, array in heads.items():
        if not np.issubdtype(array.dtype, np.floating):
            raise CheckpointError(f"{file}: weight {name!r} is {array.dtype}, not floating point")
        if not np.isfinite(array).all():
            raise CheckpointError(f"{file}: weight {name!r} holds NaN or infinity")


def _family(model_type: object, file: Path) -> Family:
    known = ", ".join(FAMILIES)
    if model_type is None:
        raise CheckpointError(f"{file}: field 'model_type' is missing; bothways knows {known}")
    if not isinstance(model_type, str) or model_type not in FAMILIES:
        raise UnsupportedModel(f"{file}: model_type={brief(model_type)}: bothways knows {known}")
    return FAMILIES[model_type]


def _settle_decoder(
    heads: dict[str, np.ndarray], weights: dict[str, np.ndarray], settings: dict[str, Any]
) -> None:
    """Leave out a decoder that is the embedding once more, and a bias that is there twice."""
    tied = settings.get("tie_word_embeddings") is not False
    decoder = heads.get(f"{DECODER}.weight")
    if tied and decoder is not None:
        tied = np.array_equal(decoder, weights["embedding.token.weight"])
        if tied:
            del heads[f"{DECODER}.weight"]
        else:
            settings["tie_word_embeddings"] = False
    own, of_decoder = heads.get(f"{DECODER}.bias"), heads.get(f"{DECODER}.decoder.bias")
    # Untied, the decoder's own bias is the one that counts.
    if of_decoder is not None and (own is None or not tied or np.array_equal(own, of_decoder)):
        heads[f"{DECODER}.bias"] = heads.pop(f"{DECODER}.decoder.bias")


def _tokenizer_length(folder: Path) -> int | None:
    """The longest input that the tokenizer's own settings allow; None where they do not say."""
    file = folder / "tokenizer_config.json"
    if not file.is_file():
        return None
    length = read_object(file).get("model_max_length")
    # "No limit" is written as a number of thirty digits.
    return length if type(length) is int and 0 < length < 2**31 else None
