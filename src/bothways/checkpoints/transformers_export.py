"""Writing a folder for transformers: config.json and weights, by a family's tables backwards."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from bothways.checkpoints.families import FAMILIES
from bothways.checkpoints.family import Family
from bothways.checkpoints.head_forms import DECODER
from bothways.checkpoints.head_places import Placed, place_head
from bothways.checkpoints.model_bundle import ModelBundle
from bothways.checkpoints.weight_files import write_safetensors
from bothways.errors import UnsupportedModel
from bothways.io.json_files import write_json
from bothways.model.config import EncoderConfig
from bothways.model.heads import Head, head_layout

__all__ = ["write_transformers"]

_SEGMENTS = "embedding.segment.weight"
_OF_HEADS = ("architectures", "num_labels", "problem_type")


def write_transformers(out: Path, model: ModelBundle) -> list[str]:
    """Write the encoder, and the heads that its family has a class for; what is left out, in words.

    Raises:
        UnsupportedModel: if no family has words for the encoder, or it is no Transformer.
    """
    own = model.transformer
    family = _family_for(model, own)
    config, weights = _with_segment(family, own), dict(model.weights)
    if config.num_segments != own.num_segments:
        weights[_SEGMENTS] = np.zeros((1, config.embedding_width), np.float32)
    settings = dict(model.source_settings)
    same_family = settings.get("model_type") == family.model_type
    if not same_family:
        for name in _OF_HEADS:  # in the words of the other family
            settings.pop(name, None)
    heads, placed, notes = _place_heads(family, model, own, settings)
    settings = _settings_of(family, settings, placed, keeps_others=bool(heads) and same_family)
    table = next(table for table in family.tables if table.knows(heads))
    write_json(out / "config.json", family.write_config(config, settings))
    arrays = table.write(weights | heads, family.buffers(config))
    write_safetensors(out / "model.safetensors", arrays)
    return notes


def _family_for(model: ModelBundle, config: EncoderConfig) -> Family:
    """A family that can express the config: that of the model; or one that has its heads too."""
    origin = model.source_settings.get("model_type")
    obstacles = {
        family.model_type: family.obstacle(_with_segment(family, config))
        for family in FAMILIES.values()
    }
    able = [family for family in FAMILIES.values() if not obstacles[family.model_type]]
    if not able:
        nearest = min(obstacles, key=lambda name: len(obstacles[name]))
        raise UnsupportedModel(
            f"{model.path}: no family of transformers can express this encoder; "
            f"the nearest, {nearest}, has no way to say {obstacles[nearest]}"
        )

    def distance(family: Family) -> tuple[bool, int, bool]:
        lacking = [h for h in model.spec.heads if _placed(family, config, h, {}) is None]
        as_it_is = _with_segment(family, config) == config
        return family.model_type != origin, len(lacking), not as_it_is

    return min(able, key=distance)


def _with_segment(family: Family, config: EncoderConfig) -> EncoderConfig:
    """A segment of zeros for an encoder without any, where transformers looks one up always."""
    if config.num_segments or not family.tables[0].knows([_SEGMENTS]):
        return config
    return dataclasses.replace(config, num_segments=1)


def _placed(
    family: Family, config: EncoderConfig, head: Head, settings: Mapping[str, Any]
) -> Placed | None:
    return place_head(family.heads, family.stem, config, head, settings)


def _place_heads(
    family: Family, model: ModelBundle, config: EncoderConfig, settings: Mapping[str, Any]
) -> tuple[dict[str, np.ndarray], list[Placed], list[str]]:
    """The weights of heads under names that the family knows, the heads' places, and what is left.

    One head with labels finds room in a file, for all of them are called classifier there.
    """
    arrays: dict[str, np.ndarray] = {}
    places: list[Placed] = []
    notes: list[str] = []
    for head in sorted(model.spec.heads, key=lambda head: not head.labels):
        placed = _placed(family, config, head, settings)
        if placed is None:
            notes.append(_why_left_out(family, head))
            continue
        own = {placed.names[name]: model.head_weights[name] for name in head_layout(head, config)}
        if own.keys() & arrays.keys() or not _knows(family, arrays | _twice(family, own)):
            notes.append(f"the head for {head.task}: a file of this family has room for one head")
            continue
        arrays |= _twice(family, own)
        places.append(placed)
    for name in model.unused_head_weights():
        if name in arrays:
            continue
        if _knows(family, {**arrays, name: model.head_weights[name]}):
            arrays[name] = model.head_weights[name]
        else:
            notes.append(f"the weight {name!r}: {family.model_type} has no place for it")
    return arrays, places, notes


def _knows(family: Family, names: Mapping[str, np.ndarray]) -> bool:
    return any(table.knows(names) for table in family.tables)


def _twice(family: Family, arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """With the bias of an untied decoder a second time, where the family has it twice."""
    bias, twin = arrays.get(f"{DECODER}.bias"), f"{DECODER}.decoder.bias"
    if bias is None or f"{DECODER}.weight" not in arrays or not _knows(family, {twin: bias}):
        return arrays
    return arrays | {twin: bias}


def _settings_of(
    family: Family, settings: dict[str, Any], placed: list[Placed], *, keeps_others: bool
) -> dict[str, Any]:
    """The fields about heads: the class of the first of them, and what each of them needs."""
    if placed:
        settings["architectures"] = [placed[0].class_name]
    elif not keeps_others:
        settings.pop("architectures", None)  # of a head that is not there
    for place in placed:
        if "id2label" in place.settings:
            settings.pop("num_labels", None)
        settings |= place.settings
    return settings


def _why_left_out(family: Family, head: Head) -> str:
    pooling = "" if head.pooling is None else f"{head.pooling} pooling and "
    layers = "one layer" if len(head.layers) == 1 else f"{len(head.layers)} layers"
    return (
        f"the head for {head.task}: no class of {family.model_type} has {pooling}{layers} such as "
        "it has; an export to onnx has every head"
    )
