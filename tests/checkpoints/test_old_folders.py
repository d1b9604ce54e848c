"""Folders of format version 2, as bothways wrote them before `positions` became two fields."""

import dataclasses
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bothways.checkpoints.bothways_folder import FORMAT_VERSION, read_bothways, write_bothways
from bothways.model.config import EncoderConfig
from bothways.model.layout import initialize

FOLDERS = Path(__file__).parent / "format_2"
SIZES: dict[str, Any] = {
    "num_layers": 1, "num_heads": 2, "d_model": 4, "d_ff": 4, "max_length": 6, "vocab_size": 5,
}  # fmt: skip
BUCKETS: dict[str, Any] = {"relative_buckets": 4, "relative_max_distance": 5}

EXPECTED = {
    "learned": EncoderConfig(**SIZES, position_offset=2),
    "sinusoidal": EncoderConfig(
        **SIZES | {"vocab_size": 0},
        input="vectors",
        num_channels=2,
        position_embedding="sinusoidal",
    ),
    "rotary": EncoderConfig(
        **SIZES, position_embedding="none", attention_positions="rotary", rotary_base=500.0
    ),
    "relative": EncoderConfig(
        **SIZES, position_embedding="none", attention_positions="relative", **BUCKETS
    ),
    "relative_and_learned": EncoderConfig(
        **SIZES, position_embedding="learned", attention_positions="relative", **BUCKETS
    ),
    "none": EncoderConfig(**SIZES, position_embedding="none"),
}


def test_there_is_a_folder_for_each_config() -> None:
    assert {folder.name for folder in FOLDERS.iterdir()} == set(EXPECTED)
    for folder in FOLDERS.iterdir():
        assert json.loads((folder / "bothways.json").read_text())["format_version"] == 2


@pytest.mark.parametrize("name", EXPECTED)
def test_an_old_folder_is_read_with_the_same_config_and_weights(name: str) -> None:
    folder = read_bothways(FOLDERS / name)
    assert folder.config == EXPECTED[name]
    for key, array in initialize(EXPECTED[name]).items():
        assert np.array_equal(folder.weights[key], array), key


@pytest.mark.parametrize("name", EXPECTED)
def test_an_old_folder_is_written_in_the_current_format(name: str, tmp_path: Path) -> None:
    write_bothways(tmp_path, read_bothways(FOLDERS / name))
    settings = json.loads((tmp_path / "bothways.json").read_text())
    assert settings["format_version"] == FORMAT_VERSION
    assert "positions" not in settings["encoder"]
    assert read_bothways(tmp_path).config == EXPECTED[name]


@pytest.mark.parametrize("model_type", ["roberta", "xlm-roberta", "mpnet", "esm"])
def test_an_old_folder_of_a_family_that_does_not_count_padding_is_read_with_its_padding_token(
    model_type: str, tmp_path: Path
) -> None:
    shutil.copytree(FOLDERS / "learned", tmp_path / "old")
    file = tmp_path / "old" / "bothways.json"
    settings = json.loads(file.read_text()) | {"head_settings": {"model_type": model_type}}
    file.write_text(json.dumps(settings))
    config = read_bothways(tmp_path / "old").config
    assert config == dataclasses.replace(EXPECTED["learned"], position_padding_token=1)
