from typing import Any

import pytest

from bothways.errors import ConfigError
from bothways.model.config import EncoderConfig
from bothways.model.old_fields import upgrade_encoder_fields

SIZES: dict[str, Any] = {"num_layers": 1, "num_heads": 1, "d_model": 2, "d_ff": 2, "vocab_size": 3}


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ({}, ("learned", "none")),
        ({"positions": "learned"}, ("learned", "none")),
        ({"positions": "sinusoidal"}, ("sinusoidal", "none")),
        ({"positions": "rotary", "learned_with_relative": False}, ("none", "rotary")),
        ({"positions": "relative"}, ("none", "relative")),
        ({"positions": "relative", "learned_with_relative": True}, ("learned", "relative")),
        ({"positions": "none"}, ("none", "none")),
        ({"attention_positions": "rotary"}, ("learned", "rotary")),
    ],
)
def test_old_fields_are_translated(old: dict[str, Any], new: tuple[str, str]) -> None:
    config = EncoderConfig.from_dict(upgrade_encoder_fields(SIZES | old))
    assert (config.position_embedding, config.attention_positions) == new


@pytest.mark.parametrize(
    "old",
    [
        {"positions": "absolute"},
        {"positions": ["rotary"]},
        {"positions": "rotary", "learned_with_relative": True},
        {"learned_with_relative": True},
        {"positions": "relative", "learned_with_relative": 1},
    ],
)
def test_values_that_no_version_wrote_are_refused(old: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="unknown field"):
        EncoderConfig.from_dict(upgrade_encoder_fields(SIZES | old))
