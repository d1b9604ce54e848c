"""Reading a folder that transformers wrote: its config.json and its weights."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from bothways.checkpoints.families import FAMILIES
from bothways.checkpoints.family import Family
from bothways.checkpoints.head_architectures import DECODER, read_heads
from bothways.checkpoints.key_table import UNREAD
from bothways.checkpoints.lora import merge_adapter
from bothways.checkpoints.model_bundle import ModelBundle
from bothways.checkpoints.weight_files import list_contents, read_weights
from bothways.errors import CheckpointError, UnsupportedModel
from bothways.io.json_files import brief, has_file, read_object
from bothways.model.layout import layout
from bothways.model.spec import ModelSpec
from bothways.model.weights import Weights

__all__ = ["read_transformers"]


def read_transformers(folder: Path) -> ModelBundle:
    """The encoder and heads of a transformers folder, with mean pooling and no modules after it.

    A LoRA adapter in the folder is merged into the weights.

    Raises:
        CheckpointError: if a file is missing or malformed, or a weight is missing, unexpected, of
            the wrong shape, or not finite.
        UnsupportedModel: if bothways cannot run the architecture faithfully.
        MissingExtra: if the weights are in torch's format and torch is not installed.
    """
    config_file = folder / "config.json"
    if not has_file(config_file):
        raise CheckpointError(
            f"{folder}: not a model: looked for config.json, modules.json and bothways.json; "
            f"{list_contents(folder)}"
        )
    values = read_object(config_file)
    family = _family(values.get("model_type"), config_file)
    config, settings = family.read_config(values, str(config_file))
    prefixes = [prefix for table in family.tables for prefix in table.prefixes]
    num_weights = sum(map(math.prod, layout(config).values()))
    merged = merge_adapter(folder, read_weights(folder, num_weights), prefixes)
    arrays, file, file_of = family.fold(values, merged)
    config = family.from_weights(config, arrays, str(file))
    reading = family.fit(arrays.keys(), config)
    named, stored = reading.apply(arrays, str(file)), reading.locate(file_of)
    names, settings = _resolve_decoder(named, settings)
    named = {
        name: named[original]
        for name, original in names.items()
        if not name.startswith(UNREAD) or named[original].dtype.kind == "f"  # others are buffers
    }
    head_arrays = {name: array for name, array in named.items() if name.startswith("heads.")}
    heads, unread = read_heads(family.heads, family.stem, config, settings, head_arrays)
    spec = ModelSpec(
        config=config,
        pooling=family.pooling,
        heads=heads,
        max_length=min(config.max_length, _tokenizer_length(folder) or config.max_length),
    )
    return ModelBundle.of(
        spec,
        named,
        str(file),
        path=folder,
        family=family.model_type,
        unread_heads=unread and f"{config_file}: {unread}",
        source_settings=settings | {"model_type": family.model_type},
        stored={name: stored[names[name]] for name in named if names[name] in stored},
    )


def _family(model_type: object, file: Path) -> Family:
    known = ", ".join(FAMILIES)
    if model_type is None:
        raise CheckpointError(f"{file}: field 'model_type' is missing; bothways knows {known}")
    if not isinstance(model_type, str) or model_type not in FAMILIES:
        raise UnsupportedModel(f"{file}: model_type={brief(model_type)}: bothways knows {known}")
    return FAMILIES[model_type]


def _resolve_decoder(
    arrays: Weights, settings: Mapping[str, Any]
) -> tuple[dict[str, str], dict[str, Any]]:
    """Drop a decoder that repeats the embedding, and a decoder's bias that the file has twice.

    Returns: for each weight its name among `arrays`, and the settings, corrected where they call
        a decoder tied that is not.
    """
    names = {name: name for name in arrays}
    settings = dict(settings)
    tied = settings.get("tie_word_embeddings") is not False
    decoder = arrays.get(f"{DECODER}.weight")
    if tied and decoder is not None:
        tied = np.array_equal(decoder, arrays["embedding.token.weight"])
        if tied:
            del names[f"{DECODER}.weight"]
        else:
            settings["tie_word_embeddings"] = False
    bias, second = arrays.get(f"{DECODER}.bias"), arrays.get(f"{DECODER}.decoder.bias")
    # Without tying, transformers adds the second one, the bias of the decoder itself.
    if second is not None and (bias is None or not tied or np.array_equal(bias, second)):
        names[f"{DECODER}.bias"] = names.pop(f"{DECODER}.decoder.bias")
    return names, settings


def _tokenizer_length(folder: Path) -> int | None:
    """The longest input that the tokenizer's own settings allow; None where they do not say."""
    file = folder / "tokenizer_config.json"
    if not has_file(file):
        return None
    length = read_object(file).get("model_max_length")
    # "No limit" is written as a number of thirty digits.
    return length if type(length) is int and 0 < length < 2**31 else None
