"""bothways' own model folder: settings in bothways.json, weights under the names of `layout`."""

import dataclasses
from pathlib import Path
from typing import Any, cast, get_args

from bothways.checkpoints.family import MAX_LAYERS
from bothways.checkpoints.head_architectures import unused_weights
from bothways.checkpoints.json_fields import LARGEST, Fields
from bothways.checkpoints.key_table import UNREAD
from bothways.checkpoints.layer_weights import check_layer_weights
from bothways.checkpoints.model_bundle import ModelBundle
from bothways.checkpoints.weight_files import StoredTensor, read_safetensors, write_safetensors
from bothways.errors import CheckpointError, ConfigError
from bothways.io.json_files import brief, has_file, read_object, write_json
from bothways.model.baselines import BASELINES, AnyConfig, BaselineConfig
from bothways.model.baselines.any_encoder import name_of
from bothways.model.config import EncoderConfig, EncoderShape, PoolingMode
from bothways.model.heads import Head
from bothways.model.late_interaction import LateInteraction
from bothways.model.old_fields import upgrade_encoder_fields
from bothways.model.pair_template import PairTemplate
from bothways.model.pooling import (
    Dense,
    DenseActivation,
    Module,
    Normalize,
    PooledLayerNorm,
    Pooling,
)
from bothways.model.spec import SIMILARITIES, ModelSpec
from bothways.model.terms import TermWeighting
from bothways.model.weights import Weights

__all__ = ["FORMAT_VERSION", "SETTINGS_FILE", "WEIGHTS_FILE", "read_bothways", "write_bothways"]

FORMAT_VERSION = 5
"""The version that is written; all versions from 1 on are read.

1: weights of heads, but no description of the heads. 2: `heads` describes them. 3: the encoder is a
baseline. 4: `encoder.kind` names the kind of encoder, `transformer` or a baseline;
`position_embedding` and `attention_positions` replace `positions`. 5: the encoder's
`position_padding_token`, which follows from the family of a model of an earlier version.
"""

SETTINGS_FILE = "bothways.json"
WEIGHTS_FILE = "model.safetensors"

_FIRST_WITH_HEADS, _BASELINES_ONLY, _FIRST_WITH_KIND, _FIRST_WITH_PADDING = 2, 3, 4, 5

_FAMILIES_WITH_PADDING = ("roberta", "xlm-roberta", "mpnet", "esm")
"""Families whose learned positions do not count padding, whose id is the row before the offset."""


def read_bothways(folder: Path) -> ModelBundle:
    """A folder that `write_bothways` wrote, in this version or an earlier one.

    Raises:
        CheckpointError: if it is of a later format, or a file is missing or malformed.
    """
    file, weights_file = folder / SETTINGS_FILE, folder / WEIGHTS_FILE
    fields = Fields(read_object(file), str(file))
    version = fields.integer("format_version")
    if not 1 <= version <= FORMAT_VERSION:
        raise CheckpointError(
            f"{file}: format_version={version}; this version of bothways reads 1 to "
            f"{FORMAT_VERSION}; update bothways"
        )
    source_settings = fields.mapping("head_settings")
    config = _config(fields, version)
    if version < _FIRST_WITH_PADDING:
        config = _with_padding(config, source_settings.get("model_type"))
    if not has_file(weights_file):
        raise CheckpointError(f"{weights_file}: no such file")
    arrays = read_safetensors(weights_file)
    heads = _heads(fields) if version >= _FIRST_WITH_HEADS else ()
    pooling = _pooling(fields.object("pooling"))
    prompts = fields.texts("prompts")
    spec = ModelSpec(
        config=config,
        pooling=pooling,
        modules=_modules(fields, arrays, pooling.width(config.d_model)),
        heads=heads,
        prompts=prompts,
        default_prompt=fields.one_of("default_prompt", prompts),
        similarity=fields.one_of("similarity", SIMILARITIES),
        lowercase=fields.flag("lowercase"),
        max_length=min(config.max_length, fields.integer("max_length", at_least=1)),
        dimensions=fields.optional_integer("dimensions", at_least=1),
        empty_token=_empty_token(fields, config),
        late_interaction=_late_interaction(fields),
        terms=_terms(fields, config),
        layer_weights=_layer_weights(fields, config),
        pair_template=_pair_template(fields),
    )
    fields.finish("a bothways folder")
    return ModelBundle.of(
        spec,
        arrays,
        str(weights_file),
        path=folder,
        unread_heads=_unread(file, arrays, config, heads),
        source_settings=source_settings,
        stored={name: StoredTensor(weights_file, name) for name in arrays},
    )


def write_bothways(folder: Path, model: ModelBundle) -> None:
    """Write settings and weights of `model` into an existing folder."""
    spec = model.spec
    settings = {
        "format_version": FORMAT_VERSION,
        "encoder": {"kind": name_of(spec.config)} | spec.config.to_dict(),
        "pooling": {
            "modes": list(spec.pooling.modes),
            "include_prompt": spec.pooling.include_prompt,
        },
        "modules": [_module_settings(module) for module in spec.modules],
        "prompts": dict(spec.prompts),
        "default_prompt": spec.default_prompt,
        "similarity": spec.similarity,
        "lowercase": spec.lowercase,
        "max_length": spec.max_length,
        "dimensions": spec.dimensions,
        "heads": [head.to_dict() for head in spec.heads],
        "head_settings": dict(model.source_settings),
    }
    if spec.empty_token is not None:
        settings["empty_token"] = spec.empty_token
    if spec.late_interaction is not None:
        settings["late_interaction"] = spec.late_interaction.to_dict()
    if spec.terms is not None:
        settings["terms"] = spec.terms.to_dict()
    if spec.layer_weights is not None:
        settings["layer_weights"] = list(spec.layer_weights)
    if spec.pair_template is not None:
        settings["pair_template"] = spec.pair_template.to_dict()
    write_json(folder / SETTINGS_FILE, settings)
    write_safetensors(folder / WEIGHTS_FILE, model.all_weights)


def _module_settings(module: Module) -> dict[str, str]:
    match module:
        case PooledLayerNorm():
            return {"type": module.kind}
        case Dense():
            return {"type": module.kind, "activation": module.activation}
        case Normalize():
            return {"type": module.kind}


def _config(fields: Fields, version: int) -> AnyConfig:
    encoder = fields.mapping("encoder")
    if any(type(value) is int and abs(value) > LARGEST for value in encoder.values()):
        raise CheckpointError(f"{fields.file}: encoder: a size of more than {LARGEST:,}; refused")
    try:
        config = _read_config(encoder, version)
    except ConfigError as error:
        raise CheckpointError(f"{fields.file}: encoder: {error}") from None
    if config.num_layers > MAX_LAYERS:
        raise CheckpointError(f"{fields.file}: encoder: {config.num_layers:,} layers; refused")
    return config


def _empty_token(fields: Fields, config: AnyConfig) -> int | None:
    token = fields.optional_integer("empty_token", at_least=0)
    if token is not None and token >= config.vocab_size:
        raise CheckpointError(
            f"{fields.file}: empty_token={token}: expected an id below "
            f"vocab_size={config.vocab_size}"
        )
    return token


def _late_interaction(fields: Fields) -> LateInteraction | None:
    value = fields.raw("late_interaction", None)
    try:
        return None if value is None else LateInteraction.from_dict(value)
    except ConfigError as error:
        raise CheckpointError(f"{fields.file}: {error}") from None


def _terms(fields: Fields, config: AnyConfig) -> TermWeighting | None:
    value = fields.raw("terms", None)
    try:
        terms = None if value is None else TermWeighting.from_dict(value)
    except ConfigError as error:
        raise CheckpointError(f"{fields.file}: {error}") from None
    if terms is not None and terms.source == "tokens" and config.d_model != 1:
        raise CheckpointError(
            f"{fields.file}: terms: source='tokens' needs one number per token, and the encoder "
            f"has {config.d_model}"
        )
    return terms


def _layer_weights(fields: Fields, config: AnyConfig) -> tuple[float, ...] | None:
    if fields.raw("layer_weights", None) is None:
        return None
    return check_layer_weights(fields.list("layer_weights"), config.num_layers, fields.file)


def _pair_template(fields: Fields) -> PairTemplate | None:
    value = fields.raw("pair_template", None)
    try:
        return None if value is None else PairTemplate.from_dict(value)
    except ConfigError as error:
        raise CheckpointError(f"{fields.file}: {error}") from None


def _with_padding(config: AnyConfig, model_type: object) -> AnyConfig:
    """The config of an earlier version, with the padding token that its family does not count."""
    if not isinstance(config, EncoderConfig) or not config.position_offset:
        return config
    if model_type not in _FAMILIES_WITH_PADDING:
        return config
    return dataclasses.replace(config, position_padding_token=config.position_offset - 1)


def _read_config(encoder: dict[str, Any], version: int) -> AnyConfig:
    if version == _BASELINES_ONLY:
        return BaselineConfig.from_dict(encoder)
    if version < _FIRST_WITH_KIND:
        return EncoderConfig.from_dict(upgrade_encoder_fields(encoder))
    kind = encoder.get("kind")
    if kind == "transformer":
        return EncoderConfig.from_dict({k: v for k, v in encoder.items() if k != "kind"})
    if kind in BASELINES:
        return BaselineConfig.from_dict(encoder)  # which has the kind as a field
    raise ConfigError(f"kind={brief(kind)}: expected one of transformer, {', '.join(BASELINES)}")


def _heads(fields: Fields) -> tuple[Head, ...]:
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
        heads.append(head)
    return tuple(heads)


def _unread(file: Path, arrays: Weights, config: EncoderShape, heads: tuple[Head, ...]) -> str:
    names = [name for name in arrays if name.startswith("heads.")]
    unused = unused_weights(heads, config, names)
    if not unused:
        return ""
    return f"{file}: no head of the folder has the weight {brief(unused[0].removeprefix(UNREAD))}"


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


def _modules(fields: Fields, arrays: Weights, width: int) -> tuple[Module, ...]:
    """The modules after pooling, sized by their weights. width: of the pooled vector."""
    modules: list[Module] = []
    for number, entry in enumerate(fields.list("modules")):
        if not isinstance(entry, dict):
            raise CheckpointError(f"{fields.file}: module {number}: expected an object")
        module = Fields(entry, f"{fields.file}: module {number}")
        match module.text("type"):
            case "normalize":
                modules.append(Normalize())
            case "layer_norm":
                modules.append(PooledLayerNorm(width))
            case "dense":
                dense = _dense(module, arrays, f"modules.{number}", width)
                width = dense.outputs
                modules.append(dense)
            case other:
                raise CheckpointError(
                    f"{module.file}: type={brief(other)}: expected dense, layer_norm, normalize"
                )
        module.finish("a module")
    return tuple(modules)


def _dense(module: Fields, arrays: Weights, name: str, width: int) -> Dense:
    activation = module.text("activation")
    if activation not in get_args(DenseActivation):
        raise CheckpointError(
            f"{module.file}: activation={brief(activation)}: "
            f"expected {', '.join(get_args(DenseActivation))}"
        )
    weight = arrays.get(f"{name}.weight")
    if weight is None or weight.ndim != 2 or weight.shape[1] != width:
        raise CheckpointError(
            f"{module.file}: expected a weight {name}.weight of shape (any, {width})"
        )
    has_bias = f"{name}.bias" in arrays
    return Dense(width, len(weight), has_bias, cast(DenseActivation, activation))
