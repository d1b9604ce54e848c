"""Reading a folder that transformers wrote: its config.json and its weights."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, assert_never

import numpy as np

from bothways.checkpoints.families import FAMILIES, family_of
from bothways.checkpoints.family import Family
from bothways.checkpoints.head_architectures import DECODER, read_heads
from bothways.checkpoints.json_fields import Fields
from bothways.checkpoints.key_table import UNREAD
from bothways.checkpoints.lora import merge_adapter
from bothways.checkpoints.model_bundle import ModelBundle
from bothways.checkpoints.task_adapters import merge_task, merge_task_folder
from bothways.checkpoints.weight_files import find_weights, list_contents, read_weights
from bothways.checkpoints.wrong_folders import other_folder, other_model
from bothways.errors import CheckpointError, InputError, UnsupportedModel
from bothways.io.json_files import brief, has_file, read_object
from bothways.model.config import EncoderConfig
from bothways.model.layout import layout
from bothways.model.pooling import Pooling
from bothways.model.spec import ModelSpec
from bothways.model.weights import Weights

__all__ = ["read_transformers", "require_family"]


def read_transformers(
    folder: Path, family_name: str | None = None, adapter: str | None = None
) -> ModelBundle:
    """The encoder and heads of a transformers folder, pooled as its family is, with no modules.

    A LoRA adapter in the folder is merged into the weights, and so is the one of the task `adapter`
    if the weights have adapters for tasks.

    family_name: the family of a folder whose config.json does not name it.

    Raises:
        CheckpointError: if a file is missing or malformed, or a weight is missing, unexpected, of
            the wrong shape, or not finite.
        UnsupportedModel: if bothways cannot run the architecture faithfully.
        InputError: if there is no adapter of that name.
        MissingExtra: if the weights are in torch's format and torch is not installed.
    """
    config_file = folder / "config.json"
    if not has_file(config_file):
        raise CheckpointError(
            f"{folder}: not a model: {other_folder(folder)}looked for config.json, modules.json "
            f"and bothways.json; {list_contents(folder)}"
        )
    values = read_object(config_file)
    family = _family(values, config_file, family_name, folder)
    config, settings = family.read_config(values, str(config_file))
    prefixes = [prefix for table in family.tables for prefix in table.prefixes]
    num_weights = sum(map(math.prod, layout(config).values()))
    stored = read_weights(folder, num_weights)
    folders = family.task_folders
    if folders is not None and folders.names in values:
        stored = merge_task_folder(stored, folders.names, values, config_file, adapter, prefixes)
    else:
        stored = merge_task(stored, values, config_file, adapter)
    merged = merge_adapter(folder, stored, prefixes)
    arrays, file, file_of = family.fold(values, merged)
    config = family.from_weights(config, arrays, str(file))
    reading = family.fit(arrays.keys(), config)
    named, located = reading.apply(arrays, str(file)), reading.locate(file_of)
    names, settings = _resolve_decoder(named, settings)
    named = {
        name: named[original]
        for name, original in names.items()
        if not name.startswith(UNREAD) or named[original].dtype.kind == "f"  # others are buffers
    }
    head_arrays = {name: array for name, array in named.items() if name.startswith("heads.")}
    heads, unread = read_heads(family.heads, family.stem, config, settings, head_arrays)
    prompts = Fields(values, str(config_file)).texts("task_instructions")
    spec = ModelSpec(
        config=config,
        pooling=_pooling(family, values, config),
        heads=heads,
        prompts=prompts if adapter in prompts else {},
        default_prompt=adapter if adapter in prompts else None,
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
        stored={name: located[names[name]] for name in named if names[name] in located},
    )


def _pooling(family: Family, values: Mapping[str, Any], config: EncoderConfig) -> Pooling:
    """How the family pools; by the last position, which alone has seen all others, if causal."""
    if family.task_folders is not None and family.task_folders.names in values:
        return family.task_folders.pooling
    match config.attention_direction:
        case "both":
            return family.pooling
        case "causal":
            return Pooling(("last",))
        case unknown:
            assert_never(unknown)


def _family(values: Mapping[str, Any], file: Path, family_name: str | None, folder: Path) -> Family:
    published = family_of(values)
    if published is not None and family_name in (None, published.model_type):
        return published
    known = ", ".join(FAMILIES)
    model_type = values.get("model_type")
    what = other_model(values)
    if model_type is None and family_name is None:
        if what:
            raise UnsupportedModel(f"{file}: {what}")
        raise CheckpointError(
            f"{file}: field 'model_type' is missing; {_advice(values, str(file), folder)}"
        )
    if model_type is None:
        return FAMILIES[require_family(family_name)]
    if not isinstance(model_type, str) or model_type not in FAMILIES:
        what = f" is {what}" if what else ""
        raise UnsupportedModel(
            f"{file}: model_type={brief(model_type)}{what}: bothways knows {known}"
        )
    if family_name not in (None, model_type):
        raise InputError(
            f"family={family_name!r}, and {file} says model_type={model_type!r}; leave out the one "
            "or correct the other"
        )
    return FAMILIES[model_type]


def require_family(name: object) -> str:
    """The name of a family.

    Raises:
        InputError: if bothways has none of this name.
    """
    if not isinstance(name, str) or name not in FAMILIES:
        raise InputError(f"family={brief(name)}: bothways knows {', '.join(FAMILIES)}")
    return name


def _advice(values: Mapping[str, Any], file: str, folder: Path) -> str:
    """What to do about a config.json without a model type: the families that fit the weights."""
    keys = read_weights(folder).arrays.keys() if find_weights(folder) else set()
    fitting = []
    for family in FAMILIES.values():
        try:
            config, _ = family.read_config(values, file)
            if keys and not (reading := family.fit(keys, config)).problems:
                fitting.append((reading.num_unread, family.model_type))
        except CheckpointError:
            continue
    names = [name for unread, name in fitting if unread == min(fitting)[0]]
    if not names:
        return f"bothways knows {', '.join(FAMILIES)}"
    which = "can only be of this family" if len(names) == 1 else "can be of these families"
    return (
        f"its weights {which}: {', '.join(names)}. Load it with family={names[0]!r} "
        f"(--family {names[0]}), or add the field"
    )


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
