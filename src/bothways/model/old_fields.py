"""Encoder fields as files written by earlier versions have them."""

from collections.abc import Mapping
from typing import Any

__all__ = ["upgrade_encoder_fields"]

_POSITIONS: dict[str, dict[str, str]] = {
    "learned": {"position_embedding": "learned", "attention_positions": "none"},
    "sinusoidal": {"position_embedding": "sinusoidal", "attention_positions": "none"},
    "rotary": {"position_embedding": "none", "attention_positions": "rotary"},
    "relative": {"position_embedding": "none", "attention_positions": "relative"},
    "none": {"position_embedding": "none", "attention_positions": "none"},
}


def upgrade_encoder_fields(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Translate the fields of an `EncoderConfig` from a file of any earlier version.

    `positions`, with `learned_with_relative` for MPNet, became `position_embedding` and
    `attention_positions`. Values that no version ever wrote stay as they are, for
    `EncoderConfig.from_dict` to refuse; so do fields of today's names.

    >>> upgrade_encoder_fields({"d_model": 64, "positions": "rotary"})
    {'d_model': 64, 'position_embedding': 'none', 'attention_positions': 'rotary'}
    """
    upgraded = dict(fields)
    positions = fields.get("positions", "learned")
    if not isinstance(positions, str) or positions not in _POSITIONS:
        return upgraded
    if not {"positions", "learned_with_relative"} & fields.keys():
        return upgraded
    both = fields.get("learned_with_relative", False)
    if type(both) is not bool or (both and positions != "relative"):
        return upgraded
    for name in ("positions", "learned_with_relative"):
        upgraded.pop(name, None)
    upgraded |= _POSITIONS[positions]
    if both:
        upgraded["position_embedding"] = "learned"
    return upgraded
