"""Rotary positions in a config.json: `rope_parameters`, as transformers 5 writes them."""

from typing import Any

from bothways.checkpoints.json_fields import Fields
from bothways.errors import UnsupportedModel
from bothways.io.json_files import brief
from bothways.model.config import EncoderConfig

__all__ = ["read_rope_parameters", "write_rope_parameters"]


def read_rope_parameters(fields: Fields, values: dict[str, Any], base: float) -> None:
    """Read base and scaling: `default`, or `linear`, which divides the frequencies by a factor.

    base: of a file without one.
    """
    values |= {"rotary_base": base, "rotary_factor": 1.0}
    if fields.raw("rope_parameters") is None:
        return
    parameters = fields.object("rope_parameters")
    values["rotary_base"] = parameters.number("rope_theta", base)
    parameters.only("partial_rotary_factor", 1, 1.0, None)
    kind = parameters.raw("rope_type", "default")
    parameters.only("type", kind, because="it differs from rope_type")
    if kind == "linear":
        values["rotary_factor"] = parameters.number("factor")
    elif kind != "default":
        raise UnsupportedModel(
            f"{parameters.file}: rope_type={brief(kind)}: bothways has default and linear"
        )
    parameters.finish("rotary positions")


def write_rope_parameters(config: EncoderConfig) -> dict[str, Any]:
    """The inverse of `read_rope_parameters`."""
    parameters: dict[str, Any] = {"rope_type": "default", "rope_theta": config.rotary_base}
    if config.rotary_factor != 1:
        parameters |= {"rope_type": "linear", "factor": config.rotary_factor}
    return {"rope_parameters": parameters}
