"""Writing a folder for transformers: config.json and weights, by reversing a family's tables."""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np

from bothways.checkpoints.families import FAMILIES
from bothways.checkpoints.family import Family
from bothways.checkpoints.head_architectures import DECODER
from bothways.checkpoints.head_export import HeadExport, export_head, labeling
from bothways.checkpoints.key_table import UNREAD
from bothways.checkpoints.model_bundle import ModelBundle
from bothways.checkpoints.weight_files import write_safetensors
from bothways.errors import UnsupportedModel
from bothways.io.json_files import write_json
from bothways.model.config import EncoderConfig
from bothways.model.heads import Head, head_layout

__all__ = ["config_for_graph", "write_transformers"]

_SEGMENTS = "embedding.segment.weight"
_OF_FAMILY = ("architectures", "num_labels", "problem_type", "unread_fields")


def write_transformers(out: Path, model: ModelBundle) -> list[str]:
    """Write the encoder and the heads that its family has a class for; return what is left out.

    Raises:
        UnsupportedModel: if no family can express the encoder, or it is a baseline.
    """
    plan = _Plan.of(model)
    config, weights = plan.config, dict(model.weights)
    if config.num_segments != model.transformer.num_segments:
        weights[_SEGMENTS] = np.zeros((1, config.embedding_width), np.float32)
    names = weights.keys() | plan.heads.keys()
    table = next(table for table in plan.family.tables if table.knows(names))
    write_json(out / "config.json", plan.family.write_config(config, plan.settings))
    arrays = table.write(weights | plan.heads, plan.family.buffers(config))
    write_safetensors(out / "model.safetensors", plan.family.unfold(config, arrays))
    return plan.notes


def config_for_graph(model: ModelBundle) -> dict[str, Any]:
    """The config.json beside a graph of a model, with the labels of a head that no class computes.

    Raises:
        UnsupportedModel: as `write_transformers`.
    """
    plan = _Plan.of(model)
    settings = dict(plan.settings)
    labeled = [head for head in model.spec.heads if head.labels]
    if len(labeled) == 1:
        settings |= labeling(labeled[0], settings)
    return plan.family.write_config(plan.config, settings)


@dataclasses.dataclass(frozen=True)
class _Plan:
    """How to express a model in a family.

    config: the encoder as the family has it. settings: the fields of the config.json about heads.
    heads: the weights of heads under the family's names. exports: how each of these is expressed.
    notes: what is left out.
    """

    family: Family
    config: EncoderConfig
    settings: Mapping[str, Any]
    heads: dict[str, np.ndarray]
    exports: Sequence[HeadExport]
    notes: list[str]

    @classmethod
    def of(cls, model: ModelBundle) -> Self:
        """Choose the family, and how it expresses each head.

        Raises:
            UnsupportedModel: as `write_transformers`.
        """
        config = model.transformer
        family = _family_for(model, config)
        settings = dict(model.source_settings)
        same_family = settings.get("model_type") == family.model_type
        if not same_family:
            for name in _OF_FAMILY:  # in the words of the other family
                settings.pop(name, None)
        heads, exports, notes = _export_heads(family, model, config, settings)
        settings = _settings_of(family, settings, exports, keeps_others=bool(heads) and same_family)
        return cls(family, _with_segment(family, config), settings, heads, exports, notes)


def _family_for(model: ModelBundle, config: EncoderConfig) -> Family:
    """A family that can express the config: the model's own, or one that also has its heads."""
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
        lacking = [h for h in model.spec.heads if _head_export(family, config, h, {}) is None]
        as_it_is = _with_segment(family, config) == config
        return family.model_type != origin, len(lacking), not as_it_is

    return min(able, key=distance)


def _with_segment(family: Family, config: EncoderConfig) -> EncoderConfig:
    """Add a segment of zeros to an encoder without segments, if the family always looks one up."""
    if config.num_segments or family.segments_optional or not family.tables[0].knows([_SEGMENTS]):
        return config
    return dataclasses.replace(config, num_segments=1)


def _head_export(
    family: Family, config: EncoderConfig, head: Head, settings: Mapping[str, Any]
) -> HeadExport | None:
    return export_head(family.heads, family.stem, config, head, settings)


def _export_heads(
    family: Family, model: ModelBundle, config: EncoderConfig, settings: Mapping[str, Any]
) -> tuple[dict[str, np.ndarray], list[HeadExport], list[str]]:
    """The weights of heads under the family's names, how they are exported, and what is left out.

    A file holds one head with labels: all of them are called classifier there.
    """
    arrays: dict[str, np.ndarray] = {}
    exports: list[HeadExport] = []
    notes: list[str] = []
    for head in sorted(model.spec.heads, key=lambda head: not head.labels):
        export = _head_export(family, config, head, settings)
        if export is None:
            notes.append(_why_left_out(family, head))
            continue
        renamed = {
            export.names[name]: model.head_weights[name] for name in head_layout(head, config)
        }
        if renamed.keys() & arrays.keys() or not _knows(family, arrays | _twice(family, renamed)):
            notes.append(f"the head for {head.task}: a file of this family has room for one head")
            continue
        arrays |= _twice(family, renamed)
        exports.append(export)
    for name in model.unused_head_weights():
        if name in arrays:
            continue
        if name.startswith(UNREAD) and settings.get("model_type") != family.model_type:
            notes.append(f"the weight {name.removeprefix(UNREAD)!r}: it is of another family")
        elif _knows(family, {**arrays, name: model.head_weights[name]}):
            arrays[name] = model.head_weights[name]
        else:
            notes.append(f"the weight {name!r}: {family.model_type} has no place for it")
    return arrays, exports, notes


def _knows(family: Family, names: Mapping[str, np.ndarray]) -> bool:
    return any(table.knows(names) for table in family.tables)


def _twice(family: Family, arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Add the second copy of an untied decoder's bias, if the family's files have two."""
    bias, twin = arrays.get(f"{DECODER}.bias"), f"{DECODER}.decoder.bias"
    if bias is None or f"{DECODER}.weight" not in arrays or not _knows(family, {twin: bias}):
        return arrays
    return arrays | {twin: bias}


def _settings_of(
    family: Family, settings: dict[str, Any], exports: list[HeadExport], *, keeps_others: bool
) -> dict[str, Any]:
    """The fields about heads: the class of the first head, and the fields that each head needs."""
    if exports:
        settings["architectures"] = [exports[0].class_name]
    elif not keeps_others:
        settings.pop("architectures", None)  # of a head that the folder lacks
    for export in exports:
        if "id2label" in export.settings:
            settings.pop("num_labels", None)
        settings |= export.settings
    return settings


def _why_left_out(family: Family, head: Head) -> str:
    of_outputs = " of outputs" if head.pools_outputs else ""
    pooling = "" if head.pooling is None else f"{head.pooling} pooling{of_outputs} and "
    layers = "one layer" if len(head.layers) == 1 else f"{len(head.layers)} layers"
    return (
        f"the head for {head.task}: no class of {family.model_type} has {pooling}{layers} such as "
        "it has; an export to onnx has every head"
    )
