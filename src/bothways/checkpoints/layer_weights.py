"""Means of several layers: the module `WeightedLayerPooling` of sentence-transformers."""

import dataclasses
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from bothways.checkpoints.model_bundle import ModelBundle
from bothways.checkpoints.sentence_transformers_files import SettingsFiles
from bothways.checkpoints.weight_files import read_weights, write_safetensors
from bothways.errors import CheckpointError
from bothways.io.json_files import brief, is_number, read_object, write_json

__all__ = ["LAYER_WEIGHTS", "check_layer_weights", "with_layer_weights", "write_layer_weights"]

LAYER_WEIGHTS = "1_WeightedLayerPooling"
"""The folder of the module in an export."""

_WEIGHT = "layer_weights"
_ALL_STATES = "output_hidden_states"


def with_layer_weights(files: SettingsFiles, encoder: ModelBundle, folder: Path) -> ModelBundle:
    """The encoder with the mean that the module in the folder computes.

    The module computes nothing unless `output_hidden_states` of the encoder's config.json is true.
    Heads of the encoder are of its last layer, and left unread.

    Raises:
        CheckpointError: if a file is missing or malformed, or for another number of layers.
    """
    fields = files.read(folder / "config.json")
    names = [n for n in ("word_embedding_dimension", "embedding_dimension") if n in fields]
    for name in names or ["embedding_dimension"]:
        if (width := fields.integer(name)) != encoder.config.d_model:
            raise CheckpointError(
                f"{fields.file}: {name}={width}; the encoder has {encoder.config.d_model}"
            )
    layers = fields.integer("num_hidden_layers", 12)
    start = fields.integer("layer_start", 4)
    files.finish(fields)
    if read_object(encoder.path / "config.json").get(_ALL_STATES) is not True:
        return encoder
    if layers != encoder.config.num_layers or start > layers:
        raise CheckpointError(
            f"{fields.file}: num_hidden_layers={layers} and layer_start={start}; the encoder has "
            f"{encoder.config.num_layers} layers"
        )
    arrays, source, _ = read_weights(folder, layers + 1)
    weights = arrays.get(_WEIGHT)
    if weights is None or weights.shape != (layers + 1 - start,):
        raise CheckpointError(f"{source}: expected {_WEIGHT} of shape ({layers + 1 - start},)")
    padded = [0.0] * start + [float(weight) for weight in weights]
    unread = f"{fields.file}: the vectors of tokens are a mean of layers, and heads are of the last"
    return dataclasses.replace(
        encoder,
        spec=dataclasses.replace(
            encoder.spec,
            heads=(),
            layer_weights=check_layer_weights(padded, layers, str(source)),
        ),
        unread_heads=encoder.unread_heads or (unread if encoder.spec.heads else ""),
    )


def check_layer_weights(weights: Sequence[Any], num_layers: int, file: str) -> tuple[float, ...]:
    """The weights of the embeddings and of each layer.

    Raises:
        CheckpointError: if they are not as many numbers, or their sum is 0.
    """
    are_numbers = all(map(is_number, weights))
    if (
        not are_numbers
        or len(weights) != num_layers + 1
        or not math.isfinite(sum(weights))
        or not sum(weights)
    ):
        raise CheckpointError(
            f"{file}: {_WEIGHT}={brief(list(weights))}: expected {num_layers + 1} numbers, whose "
            "sum is not 0"
        )
    return tuple(float(weight) for weight in weights)


def write_layer_weights(out: Path, weights: Sequence[float], d_model: int) -> None:
    """Write the module beside the files of its encoder in `out`, whose config.json it needs."""
    folder = out / LAYER_WEIGHTS
    folder.mkdir()
    settings = {
        "word_embedding_dimension": d_model,
        "layer_start": 0,
        "num_hidden_layers": len(weights) - 1,
    }
    write_json(folder / "config.json", settings)
    write_safetensors(folder / "model.safetensors", {_WEIGHT: np.array(weights, np.float32)})
    config = out / "config.json"
    write_json(config, read_object(config) | {_ALL_STATES: True})
