"""bothways' own model folder: settings in bothways.json, weights under our own names."""

from pathlib import Path
from typing import cast, get_args

import numpy as np

from bothways.checkpoints.family import MAX_LAYERS
from bothways.checkpoints.fields import LARGEST, Fields
from bothways.checkpoints.head_forms import unused_weights
from bothways.checkpoints.model_folder import (
    SIMILARITIES,
    Dense,
    DenseActivation,
    ModelFolder,
    Normalize,
    Pooling,
)
from bothways.checkpoints.transformers_folder import check_heads
from bothways.checkpoints.weight_files import read_safetensors, write_safetensors
from bothways.errors import CheckpointError, ConfigError
from bothways.io.json_files import brief, read_object, write_json
from bothways.model.baselines import AnyConfig, BaselineConfig
from bothways.model.baselines.any_encoder import layout
from bothways.model.config import EncoderConfig, EncoderShape, PoolingMode
from bothways.model.heads import Head, check_head
from bothways.model.old_fields import upgrade_encoder_fields
from bothways.model.weights import check_layout

__all__ = ["FORMAT_VERSION", "SETTINGS_FILE", "read_bothways", "write_bothways"]

FORMAT_VERSION = 4
"""4 has `position_embedding` and `attention_positions` in place of `positions`; 3 has an encoder
other than a Transformer; 2 describes the heads; 1 had only their weights.

Baselines are written as version 3 and Transformers as version 4."""

SETTINGS_FILE = "bothways.json"
_WEIGHTS_FILE = "model.safetensors"

_Arrays = dict[str, np.ndarray]


def read_bothways(folder: Path) -> ModelFolder:
    """A folder that `write_bothways` wrote.

    Raises:
        CheckpointError: if it is of a later format, or a file is missing or malformed.
    """
    file = folder / SETTINGS_FILE
    fields = Fields(read_object(file), str(file))
    version = fields.integer("format_version")
    if not 1 <= version <= FORMAT_VERSION:
        raise CheckpointError(
            f"{file}: format_version={version}; this bothways reads 1 to {FORMAT_VERSION}: "
            "update it"
        )
    config = _config(fields, version)
    weights, heads, rest = _arrays(folder / _WEIGHTS_FILE, config)
    head_configs = _heads(fields, config, heads) if version > 1 else ()
    pooling = _pooling(fields.object("pooling"))
    prompts = fields.texts("prompts")
    read = ModelFolder(
        path=folder,
        reader_path=folder,
        family="bothways",
        config=config,
        weights=weights,
        heads=heads,
        head_configs=head_configs,
        unread_heads=_unread(file, heads, config, head_configs),
        head_settings=fields.mapping("head_settings"),
        lowercase=fields.flag("lowercase"),
        pooling=pooling,
        modules=_modules(fields, rest, config.d_model * len(pooling.modes)),
        prompts=prompts,
        default_prompt=fields.one_of("default_prompt", prompts),
        similarity=fields.one_of("similarity", SIMILARITIES),
        max_length=min(config.max_length, fields.integer("max_length", at_least=1)),
        dimensions=fields.optional_integer("dimensions", at_least=1),
    )
    fields.finish("a bothways folder")
    return read


def write_bothways(folder: Path, model: ModelFolder) -> None:
    """Write settings and weights of `model` into an existing folder."""
    arrays = model.weights | model.heads
    modules: list[dict[str, str]] = []
    for number, module in enumerate(model.modules):
        match module:
            case Dense():
                arrays[f"modules.{number}.weight"] = module.weight
                if module.bias is not None:
                    arrays[f"modules.{number}.bias"] = module.bias
                modules.append({"type": "dense", "activation": module.activation})
            case Normalize():
                modules.append({"type": "normalize"})
    settings = {
        "format_version": 3 if isinstance(model.config, BaselineConfig) else FORMAT_VERSION,
        "encoder": model.config.to_dict(),
        "pooling": {
            "modes": list(model.pooling.modes),
            "include_prompt": model.pooling.include_prompt,
        },
        "modules": modules,
        "prompts": dict(model.prompts),
        "default_prompt": model.default_prompt,
        "similarity": model.similarity,
        "lowercase": model.lowercase,
        "max_length": model.max_length,
        "dimensions": model.dimensions,
        "heads": [head.to_dict() for head in model.head_configs],
        "head_settings": dict(model.head_settings),
    }
    write_json(folder / SETTINGS_FILE, settings)
    write_safetensors(folder / _WEIGHTS_FILE, arrays)


def _config(fields: Fields, version: int) -> AnyConfig:
    encoder = fields.mapping("encoder")
    if any(type(value) is int and abs(value) > LARGEST for value in encoder.values()):
        raise CheckpointError(f"{fields.file}: encoder: a size of more than {LARGEST:,}; refused")
    try:
        config: AnyConfig = (
            BaselineConfig.from_dict(encoder)
            if version == 3
            else EncoderConfig.from_dict(
                upgrade_encoder_fields(encoder) if version < 3 else encoder
            )
        )
    except ConfigError as error:
        raise CheckpointError(f"{fields.file}: encoder: {error}") from None
    if config.num_layers > MAX_LAYERS:
        raise CheckpointError(f"{fields.file}: encoder: {config.num_layers:,} layers; refused")
    return config


def _heads(fields: Fields, config: EncoderShape, arrays: _Arrays) -> tuple[Head, ...]:
    heads: list[Head] = []
    for number, entry in enumerate(fields.list("heads")):
        place = f"{fields.file}: head {number}"
        if not isinstance(entry, dict):
            raise CheckpointError(f"{place}: expected an object")
        try:
            head = Head.from_dict(entry)
        except ConfigError as error:
            raise CheckpointError(f"{place}: {error}") from None
        if any(layer.outputs > LARGEST for layer in head.layers):
            raise CheckpointError(f"{place}: a size of more than {LARGEST:,}; refused")
        if any(head.task == other.task for other in heads):
            raise CheckpointError(f"{place}: a second head for {head.task}; expected one of a task")
        check_head(head, config, arrays, place)
        heads.append(head)
    return tuple(heads)


def _unread(file: Path, arrays: _Arrays, config: EncoderShape, heads: tuple[Head, ...]) -> str:
    unused = unused_weights(heads, config, arrays)
    return f"{file}: no head of the folder has the weight {unused[0]!r}" if unused else ""


def _arrays(file: Path, config: AnyConfig) -> tuple[_Arrays, _Arrays, _Arrays]:
    """The encoder's weights, those of heads, and those of the modules after pooling."""
    if not file.is_file():
        raise CheckpointError(f"{file}: no such file")
    weights: _Arrays = {}
    heads: _Arrays = {}
    rest: _Arrays = {}
    for name, array in read_safetensors(file).items():
        part = name.partition(".")[0]
        (heads if part == "heads" else rest if part == "modules" else weights)[name] = array
    check_layout(layout(config), weights, str(file))
    check_heads(heads | rest, str(file))
    return weights, heads, rest


def _pooling(fields: Fields) -> Pooling:
    modes = fields.list("modes")
    for mode in modes:
        if mode not in get_args(PoolingMode):
            raise CheckpointError(
                f"{fields.file}: modes={brief(mode)}: expected {', '.join(get_args(PoolingMode))}"
            )
    if not modes:
        raise CheckpointError(f"{fields.file}: modes: expected at least one")
    pooling = Pooling(tuple(modes), fields.flag("include_prompt"))
    fields.finish("pooling")
    return pooling


def _modules(fields: Fields, arrays: _Arrays, width: int) -> tuple[Dense | Normalize, ...]:
    modules: list[Dense | Normalize] = []
    unread = set(arrays)
    for number, entry in enumerate(fields.list("modules")):
        if not isinstance(entry, dict):
            raise CheckpointError(f"{fields.file}: module {number}: expected an object")
        module = Fields(entry, f"{fields.file}: module {number}")
        match module.text("type"):
            case "normalize":
                modules.append(Normalize())
            case "dense":
                dense = _dense(module, arrays, f"modules.{number}", width)
                width = dense.weight.shape[0]
                unread -= {f"modules.{number}.weight", f"modules.{number}.bias"}
                modules.append(dense)
            case other:
                raise CheckpointError(
                    f"{module.file}: type={brief(other)}: expected dense, normalize"
                )
        module.finish("a module")
    if unread:
        raise CheckpointError(f"{fields.file}: no module has the weight {min(unread)!r}")
    return tuple(modules)


def _dense(module: Fields, arrays: _Arrays, name: str, width: int) -> Dense:
    activation = module.text("activation")
    if activation not in get_args(DenseActivation):
        raise CheckpointError(
            f"{module.file}: activation={brief(activation)}: "
            f"expected {', '.join(get_args(DenseActivation))}"
        )
    weight, bias = arrays.get(f"{name}.weight"), arrays.get(f"{name}.bias")
    if weight is None or weight.ndim != 2 or weight.shape[1] != width:
        raise CheckpointError(
            f"{module.file}: expected a weight {name}.weight of shape (any, {width})"
        )
    if bias is not None and bias.shape != weight.shape[:1]:
        raise CheckpointError(f"{module.file}: {name}.bias has shape {bias.shape}")
    return Dense(weight, bias, cast(DenseActivation, activation))
