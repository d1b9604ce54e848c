"""Exporting a head: the class of a family that computes it, and the names of its weights there."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from bothways.checkpoints.head_architectures import (
    PROBLEMS,
    HeadArchitecture,
    Settings,
    class_named,
    labels_in,
    task_in,
)
from bothways.errors import CheckpointError
from bothways.model.config import EncoderConfig
from bothways.model.heads import Head, HeadLayer

__all__ = ["HeadExport", "export_head", "labeling"]

T = TypeVar("T")


@dataclasses.dataclass(frozen=True)
class HeadExport:
    """How to export a head to a family.

    class_name: the class of transformers that loads it. names: for each of its weights, the name in
    the family's table. settings: fields to add to the config.json so that it describes the head.
    """

    class_name: str
    names: Mapping[str, str]
    settings: Mapping[str, Any]


def export_head(
    architectures: Sequence[HeadArchitecture],
    stem: str,
    config: EncoderConfig,
    head: Head,
    given: Settings,
) -> HeadExport | None:
    """How to export a head to a family; None if no class of the family computes the same.

    given: the fields of the config.json so far.
    """
    outputs = {
        "masked_tokens": "vocabulary",
        "tags": "positions",
        "answer_spans": "answer",
        "masked_values": None,
    }
    for architecture in architectures:
        if architecture.refused or architecture.outputs != outputs.get(head.task, "sequence"):
            continue
        settings = architecture.settings(head)
        if head.pooling is not None and architecture.pooling(settings) != head.pooling:
            continue
        if architecture.pools_outputs(settings) != head.pools_outputs:
            continue
        layers = architecture.layers(config, settings, head.num_outputs)
        if [_without_names(layer) for layer in layers] != [
            _without_names(layer) for layer in head.layers
        ]:
            continue
        names: dict[str, str] = {}
        for ours, theirs in zip(head.layers, layers, strict=True):
            names |= _parameters(ours.name, theirs.name)
            if ours.norm is not None and theirs.norm is not None:
                names |= _parameters(ours.norm, theirs.norm)
        named = class_named(architecture, stem, given)
        settings |= _tie(head, given) | labeling(head, given if named else _UNLABELED)
        return HeadExport(named or stem + architecture.classes[0], names, settings)
    return None


_UNLABELED: Settings = {"problem_type": "", "id2label": {}}
"""Settings of a folder without such a head: every field is written, none left to a default."""


def _tie(head: Head, given: Settings) -> dict[str, Any]:
    """The field that says whether the decoder is tied, if the config.json says otherwise."""
    if head.task != "masked_tokens":
        return {}
    tied = given.get("tie_word_embeddings") is not False
    return {} if tied == head.layers[-1].tied else {"tie_word_embeddings": not tied}


def labeling(head: Head, given: Settings) -> dict[str, Any]:
    """The fields that `task_in` and `labels_in` read, if they do not yet describe the head."""
    outputs = head.num_outputs
    fields: dict[str, Any] = {}
    if head.labels and _or_none(lambda: labels_in(given, outputs)) != head.labels:
        fields["id2label"] = {str(index): label for index, label in enumerate(head.labels)}
        fields["label2id"] = {label: index for index, label in enumerate(head.labels)}
    problem = {task: problem for problem, task in PROBLEMS.items()}.get(head.task)
    if problem is not None and _or_none(lambda: task_in(given, outputs)) != head.task:
        fields["problem_type"] = problem
    return fields


def _or_none(read: Callable[[], T]) -> T | None:
    try:
        return read()
    except CheckpointError:
        return None


def _without_names(layer: HeadLayer) -> HeadLayer:
    """The layer with default values for everything that does not change its outputs."""
    same = dataclasses.replace(layer, name="heads.layer", tied=False)
    if layer.norm is None:
        return dataclasses.replace(same, norm_bias=True, norm_eps=0.0)
    return dataclasses.replace(same, norm="heads.norm")


def _parameters(ours: str, theirs: str) -> dict[str, str]:
    return {f"{ours}.{p}": f"{theirs}.{p}" for p in ("weight", "bias")}
