"""Modules after pooling in sentence-transformers folders: Dense, LayerNorm, Dropout, Normalize."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import get_args

from bothways.checkpoints.json_fields import Fields
from bothways.checkpoints.sentence_transformers_files import SettingsFiles
from bothways.checkpoints.weight_files import read_weights
from bothways.errors import CheckpointError, UnsupportedModel
from bothways.io.json_files import brief, has_file
from bothways.model.pooling import Dense, DenseActivation, Module, Normalize, PooledLayerNorm
from bothways.model.weights import CheckedWeights

__all__ = ["DENSE_ACTIVATIONS", "read_layers"]

DENSE_ACTIVATIONS: dict[str, DenseActivation] = {
    "torch.nn.modules.linear.Identity": "identity",
    "torch.nn.modules.activation.Tanh": "tanh",
    "torch.nn.modules.activation.Sigmoid": "sigmoid",
    "torch.nn.modules.activation.ReLU": "relu",
    "torch.nn.modules.activation.GELU": "gelu",
    "torch.nn.modules.activation.SiLU": "silu",
}


def read_layers(
    files: SettingsFiles,
    entries: Sequence[tuple[str, Path]],
    width: int,
    *,
    output: str = "sentence_embedding",
) -> tuple[tuple[Module, ...], CheckedWeights]:
    """The modules after pooling, and their weights.

    width: dimensions of the pooled vector. output: what they are applied to.

    Raises:
        CheckpointError: if a file is missing or malformed, or does not fit the one before.
        UnsupportedModel: naming a module or setting that bothways does not have.
    """
    modules: list[Module] = []
    weights: list[CheckedWeights] = []
    for kind, path in entries:
        prefix = f"modules.{len(modules)}."
        match kind:
            case "Dense":
                dense, arrays = _dense(files, path, width, output)
                width = dense.outputs
                modules.append(dense)
                weights.append(arrays.with_prefix(prefix))
            case "LayerNorm":
                modules.append(PooledLayerNorm(width))
                weights.append(_layer_norm(files, path, width).with_prefix(prefix))
            case "Dropout":
                _check_dropout(files, path / "config.json")
            case "Normalize":
                _check_normalize(files, path / "config.json", output)
                modules.append(Normalize())
            case _:
                raise UnsupportedModel(
                    f"{files.folder / 'modules.json'}: {kind} after pooling; expected Dense, "
                    "LayerNorm, Dropout or Normalize"
                )
    return tuple(modules), CheckedWeights.union(*weights)


def _dense(
    files: SettingsFiles, folder: Path, width: int, output: str
) -> tuple[Dense, CheckedWeights]:
    """A dense layer, and its `weight` and `bias`."""
    file = folder / "config.json"
    fields = files.read(file)
    shape = (fields.integer("out_features", at_least=1), fields.integer("in_features", at_least=1))
    has_bias = fields.flag("bias", True)
    activation = fields.text("activation_function", "torch.nn.modules.activation.Tanh")
    _only_output(fields, output)
    fields.only("use_residual", False)
    fields.drop(("init_weight", "init_bias"))  # of a layer without weights of its own
    files.finish(fields)
    if activation not in DENSE_ACTIVATIONS:
        raise UnsupportedModel(
            f"{file}: activation_function={brief(activation)}: bothways has "
            f"{', '.join(get_args(DenseActivation))}, and imports nothing that a model folder names"
        )
    if shape[1] != width:
        raise CheckpointError(f"{file}: in_features={shape[1]}; its input has {width} dimensions")
    arrays, source, _ = read_weights(folder, math.prod(shape) + shape[0])
    dense = Dense(shape[1], shape[0], has_bias, DENSE_ACTIVATIONS[activation])
    layout = {"linear.weight": shape} | ({"linear.bias": shape[:1]} if has_bias else {})
    checked = CheckedWeights(layout, arrays, str(source))
    return dense, checked.without_prefix("linear.")


def _layer_norm(files: SettingsFiles, folder: Path, width: int) -> CheckedWeights:
    """The `weight` and `bias` of a layer norm."""
    fields = files.read(folder / "config.json")
    if (dimension := fields.integer("dimension")) != width:
        raise CheckpointError(
            f"{fields.file}: dimension={dimension}; its input has {width} dimensions"
        )
    files.finish(fields)
    arrays, source, _ = read_weights(folder, 2 * width)
    layout = {f"norm.{name}": (width,) for name in ("weight", "bias")}
    return CheckedWeights(layout, arrays, str(source)).without_prefix("norm.")


def _check_dropout(files: SettingsFiles, file: Path) -> None:
    """Read the settings of a dropout, which changes no vector after training."""
    fields = files.read(file)
    fields.number("dropout", 0.2)
    files.finish(fields)


def _check_normalize(files: SettingsFiles, file: Path, output: str) -> None:
    if has_file(file):
        fields = files.read(file)
        _only_output(fields, output)
        files.finish(fields)


def _only_output(fields: Fields, output: str) -> None:
    for name in ("module_input_name", "module_output_name"):
        fields.only(name, output, None)
