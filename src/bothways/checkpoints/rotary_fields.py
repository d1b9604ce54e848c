"""Rotary positions in a config.json: `rope_parameters` of transformers 5, `rope_scaling` of 4.

Scalings whose angles do not depend on the length of an input are read as transformers computes them
(`modeling_rope_utils`); `dynamic` and `longrope` up to the length from which theirs do.
"""

import math
from collections.abc import Collection, Mapping
from typing import Any

from bothways.checkpoints.json_fields import Fields
from bothways.errors import CheckpointError, UnsupportedModel
from bothways.io.json_files import brief
from bothways.model.config import EncoderConfig

__all__ = [
    "FULL",
    "SLIDING",
    "UNSCALED",
    "read_rotary",
    "read_rotary_by_layer",
    "write_rope_parameters",
    "write_rotary",
    "write_rotary_by_layer",
]

FULL, SLIDING = "full_attention", "sliding_attention"
"""Kinds of layers, without and with a window."""

UNSCALED: Mapping[str, Any] = {"rotary_scaling": "linear", "rotary_factor": 1.0}
"""The fields of our config for positions that are not scaled."""

_KINDS = "default, linear, dynamic, yarn, llama3 and longrope"


def read_rotary(fields: Fields, values: dict[str, Any], base: float) -> None:
    """Read base and scaling in either word, into our `values`, which have `max_length`.

    As in transformers, `rope_scaling` takes the place of `rope_parameters`, unless it is empty, and
    `rope_theta` beside them is the base where they have none. base: of a file without one.
    """
    base = fields.number("rope_theta", base)
    name = "rope_scaling" if fields.raw("rope_scaling") else "rope_parameters"
    if fields.raw(name) is None:
        values |= {"rotary_base": base} | UNSCALED
        return
    parameters = fields.object(name)
    original = fields.optional_integer("original_max_position_embeddings", at_least=1)
    values |= _read(parameters, base, values["max_length"], original)


def read_rotary_by_layer(
    fields: Fields,
    values: dict[str, Any],
    bases: Mapping[str, float],
    scaled: Collection[str] = (FULL, SLIDING),
) -> None:
    """Read base and scaling of layers without and, if our `values` have windows, with a window.

    bases: of each kind of layer where its parameters have none. scaled: the kinds to which
    `rope_scaling` is added, as transformers does.
    """
    given = Fields({}, fields.file)
    if fields.raw("rope_parameters") is not None:
        given = fields.object("rope_parameters")
    added = fields.mapping("rope_scaling") if fields.raw("rope_scaling") is not None else {}
    read = {}
    for kind, base in bases.items():
        own = given.mapping(kind) if given.raw(kind) is not None else {}
        parameters = Fields(own | (added if kind in scaled else {}), f"{given.file}: {kind}")
        parameters.only("truncate", None, True)  # transformers looks for it elsewhere
        read[kind] = _read(parameters, base, values["max_length"])
    given.finish("rotary positions")
    values |= read[FULL]
    if not values.get("windows"):
        return
    full, local = (
        {name: value for name, value in read[kind].items() if name != "rotary_base"}
        for kind in (FULL, SLIDING)
    )
    if local != full and local != UNSCALED:
        raise UnsupportedModel(
            f"{fields.file}: rotary positions are scaled in another way in {SLIDING} than in {FULL}"
        )
    values["rotary_scales_local"] = local == full
    if read[SLIDING]["rotary_base"] != read[FULL]["rotary_base"]:
        values["rotary_base_local"] = read[SLIDING]["rotary_base"]


def _read(
    parameters: Fields, base: float, max_length: int, original: int | None = None
) -> dict[str, Any]:
    """Read an object of rotary parameters, as fields of our config.

    base, max_length: those of the rest of the file. original: the length that the model was trained
    for before scaling, where the rest of the file has it; it takes precedence.

    Raises:
        UnsupportedModel: if the positions are scaled in another way, or rotate a part of each head.
    """
    values = {"rotary_base": parameters.number("rope_theta", base)} | UNSCALED
    parameters.only("partial_rotary_factor", 1, 1.0, None)
    kind = parameters.raw("rope_type", parameters.raw("type", "default"))
    parameters.only("type", kind, because="it differs from rope_type")
    match kind:
        case "default":
            pass
        case "linear":
            values["rotary_factor"] = parameters.number("factor")
        case "dynamic":
            # Frequencies change from the first position beyond max_position_embeddings, our limit.
            parameters.number("factor")
            parameters.drop(("original_max_position_embeddings",))
        case "yarn":
            values |= _yarn(parameters, max_length, original)
        case "llama3":
            values |= _llama3(parameters, max_length, original)
        case "longrope":
            values |= _longrope(parameters, max_length, original)
        case _:
            raise UnsupportedModel(
                f"{parameters.file}: rope_type={brief(kind)}: bothways has {_KINDS}"
            )
    parameters.finish("rotary positions")
    return values


def write_rope_parameters(config: EncoderConfig, *, local: bool = False) -> dict[str, Any]:
    """An object of rotary parameters, for layers without a window or, `local`, those with one."""
    base = config.rotary_base
    if local and config.rotary_base_local is not None:
        base = config.rotary_base_local
    parameters: dict[str, Any] = {"rope_type": "default", "rope_theta": base}
    if local and not config.rotary_scales_local:
        return parameters
    match config.rotary_scaling:
        case "linear":
            if config.rotary_factor == 1:
                return parameters
            return parameters | {"rope_type": "linear", "factor": config.rotary_factor}
        case "yarn":
            slow, fast = config.rotary_turns
            return (
                parameters
                | {
                    "rope_type": "yarn",
                    "factor": config.rotary_factor,
                    "original_max_position_embeddings": config.rotary_original_length,
                    "beta_fast": fast,
                    "beta_slow": slow,
                    "attention_factor": config.rotary_magnitude,
                }
                | ({} if config.rotary_whole_pairs else {"truncate": False})
            )
        case "llama3":
            low, high = config.rotary_turns
            return parameters | {
                "rope_type": "llama3",
                "factor": config.rotary_factor,
                "original_max_position_embeddings": config.rotary_original_length,
                "low_freq_factor": low,
                "high_freq_factor": high,
            }
        case "longrope":
            # Within the original length transformers uses the short factors alone.
            factors = list(config.rotary_pair_factors)
            return parameters | {
                "rope_type": "longrope",
                "original_max_position_embeddings": config.max_length,
                "short_factor": factors,
                "long_factor": factors,
                "attention_factor": config.rotary_magnitude,
            }


def write_rotary(config: EncoderConfig) -> dict[str, Any]:
    """The inverse of `read_rotary`, in the words of transformers 5 and 4."""
    parameters = write_rope_parameters(config)
    theirs = {"rope_parameters": parameters, "rope_theta": config.rotary_base}
    if parameters["rope_type"] == "default":
        return theirs
    old = {name: value for name, value in parameters.items() if name != "rope_theta"}
    return theirs | {"rope_scaling": old}


def write_rotary_by_layer(config: EncoderConfig) -> dict[str, Any]:
    """The inverse of `read_rotary_by_layer`."""
    return {
        "rope_parameters": {
            FULL: write_rope_parameters(config),
            SLIDING: write_rope_parameters(config, local=True),
        }
    }


def _yarn(parameters: Fields, max_length: int, original: int | None) -> dict[str, Any]:
    length = _original_length(parameters, max_length, original)
    factor = _optional_number(parameters, "factor") or max_length / length
    magnitude = _optional_number(parameters, "attention_factor")
    scales = [_optional_number(parameters, name) for name in ("mscale", "mscale_all_dim")]
    if magnitude is None and all(scales):
        one, all_dim = (_yarn_magnitude(factor, scale or 1) for scale in scales)
        magnitude = one / all_dim
    truncate = parameters.raw("truncate")
    return {
        "rotary_scaling": "yarn",
        "rotary_factor": factor,
        "rotary_original_length": length,
        "rotary_turns": (
            _optional_number(parameters, "beta_slow") or 1.0,
            _optional_number(parameters, "beta_fast") or 32.0,
        ),
        "rotary_whole_pairs": True if truncate is None else parameters.flag("truncate"),
        "rotary_magnitude": _yarn_magnitude(factor) if magnitude is None else magnitude,
    }


def _yarn_magnitude(factor: float, scale: float = 1.0) -> float:
    return 1.0 if factor <= 1 else 0.1 * scale * math.log(factor) + 1


def _llama3(parameters: Fields, max_length: int, original: int | None) -> dict[str, Any]:
    return {
        "rotary_scaling": "llama3",
        "rotary_factor": parameters.number("factor"),
        "rotary_original_length": _original_length(parameters, max_length, original),
        "rotary_turns": (
            parameters.number("low_freq_factor"),
            parameters.number("high_freq_factor"),
        ),
    }


def _longrope(parameters: Fields, max_length: int, original: int | None) -> dict[str, Any]:
    """Up to the original length, where the factors for short inputs apply."""
    length = _original_length(parameters, max_length, original)
    factor = _optional_number(parameters, "factor") or max_length / length
    magnitude = _optional_number(parameters, "attention_factor")
    if magnitude is None and (factor <= 1 or length < 2):
        magnitude = 1.0
    elif magnitude is None:
        magnitude = math.sqrt(1 + math.log(factor) / math.log(length))
    parameters.drop(("long_factor",))
    pair_factors = parameters.list("short_factor")
    if any(type(each) not in (int, float) for each in pair_factors):
        raise CheckpointError(f"{parameters.file}: short_factor: expected a list of numbers")
    return {
        "rotary_scaling": "longrope",
        "rotary_pair_factors": tuple(float(each) for each in pair_factors),
        "rotary_magnitude": magnitude,
        "max_length": min(max_length, length),
    }


def _original_length(parameters: Fields, max_length: int, original: int | None) -> int:
    own = parameters.optional_integer("original_max_position_embeddings", at_least=1)
    length = own if original is None else original
    return max(max_length, 1) if length is None else length


def _optional_number(parameters: Fields, name: str) -> float | None:
    return None if parameters.raw(name) is None else parameters.number(name)
