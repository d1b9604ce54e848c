import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bothways.errors import ConfigError
from bothways.training.settings import TrainingSettings, read_toml

SOME: dict[str, Any] = {"lengths": np.full(4096, 50), "fresh": True, "gpu": False, "bf16": False}
"""Fifty steps of 4,096 tokens."""


def resolved(settings: TrainingSettings, **changed: Any) -> Any:
    return settings.resolved(**(SOME | changed))


def test_every_field_is_explained() -> None:
    words = (TrainingSettings.__doc__ or "").replace(",", ":").replace("\n", " ").split()
    for field in dataclasses.fields(TrainingSettings):
        assert f"{field.name}:" in words


def test_nothing_is_left_open_but_limits() -> None:
    found = resolved(TrainingSettings()).to_dict()
    open_ones = [name for name, value in found.items() if value is None]
    assert open_ones == ["max_steps", "patience", "device", "threads"]


def test_what_was_given_is_kept() -> None:
    given = TrainingSettings(epochs=3, learning_rate=1e-3, validate_every=7, clip_norm=0)
    found = resolved(given)
    assert (found.epochs, found.learning_rate, found.validate_every) == (3, 1e-3, 7)
    assert found.checkpoint_every == 7
    assert found.clip_norm == 0


def test_fresh_weights_learn_faster_and_longer_than_a_checkpoint() -> None:
    fresh, later = resolved(TrainingSettings()), resolved(TrainingSettings(), fresh=False)
    assert fresh.learning_rate > later.learning_rate
    assert fresh.total_steps(50) > later.total_steps(50)


def test_max_steps_alone_says_how_long() -> None:
    assert resolved(TrainingSettings(max_steps=10_000)).total_steps(50) == 10_000
    assert resolved(TrainingSettings(max_steps=7)).total_steps(50) == 7
    assert resolved(TrainingSettings(max_steps=700, epochs=2)).total_steps(50) == 100


def test_little_data_makes_many_small_steps() -> None:
    def chosen(count: int) -> int:
        tokens: int = resolved(TrainingSettings(), lengths=np.full(count, 20)).batch_tokens
        return tokens

    assert chosen(100_000) == 4096
    assert chosen(3200) == 3200 * 20 // 32
    assert chosen(100) == 8 * 20
    given = TrainingSettings(batch_tokens=999)
    assert resolved(given, lengths=np.full(100, 20)).batch_tokens == 999


def test_a_short_run_is_validated_ten_times_and_a_long_one_each_epoch() -> None:
    assert resolved(TrainingSettings(epochs=2)).validate_every == 10
    assert resolved(TrainingSettings(epochs=30)).validate_every == 50


def test_the_lines_of_the_longest_run_are_ten_thousand() -> None:
    assert resolved(TrainingSettings()).log_every == 1
    assert resolved(TrainingSettings(max_steps=1_000_000)).log_every == 100


def test_a_gpu_gets_larger_batches_in_half_precision_if_it_has_it() -> None:
    found = resolved(TrainingSettings(), gpu=True, bf16=True)
    assert (found.precision, found.micro_tokens) == ("bf16", 32_768)
    assert resolved(TrainingSettings(), gpu=True).precision == "fp32"


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("epochs", "3", "a number or nothing"),
        ("epochs", 0, "more than 0"),
        ("epochs", float("nan"), "more than 0"),
        ("batch_tokens", 0, "at least 1"),
        ("batch_tokens", 1.5, "a whole number"),
        ("batch_tokens", True, "a whole number"),
        ("learning_rate", float("inf"), "more than 0"),
        ("schedule", "step", "linear, cosine, constant"),
        ("precision", "fp16", "fp32, bf16"),
        ("warmup", 1.0, "at least 0 and below 1"),
        ("weight_decay", -0.1, "at least 0"),
        ("seed", -1, "at least 0"),
        ("tensorboard", "yes", "true or false"),
        ("sharding", None, "replicated, sharded"),
    ],
)
def test_a_wrong_value_is_refused_with_its_field_and_what_was_expected(
    name: str, value: Any, expected: str
) -> None:
    with pytest.raises(ConfigError, match=f"^a.toml: {name}=.*: expected .*{expected}"):
        TrainingSettings.from_mapping({name: value}, "a.toml")


def test_a_field_that_there_is_not_is_refused_with_those_that_there_are() -> None:
    with pytest.raises(ConfigError, match=r"a\.toml: no setting 'lr'; there are epochs, .*seed"):
        TrainingSettings.from_mapping({"lr": 1}, "a.toml")


def test_settings_come_back_from_json_unchanged() -> None:
    settings = resolved(TrainingSettings(learning_rate=1 / 3))
    assert settings.difference(json.loads(json.dumps(settings.to_dict()))) is None


def test_a_changed_setting_is_named_unless_it_changes_no_weight() -> None:
    earlier = resolved(TrainingSettings()).to_dict()
    assert resolved(TrainingSettings(warmup=0.2)).difference(earlier) == "warmup"
    free = TrainingSettings(log_every=5, keep_checkpoints=9, tensorboard=True, threads=3)
    assert resolved(free).difference(earlier) is None
    del earlier["beta2"]
    assert resolved(TrainingSettings()).difference(earlier) == "beta2"


def test_tables_of_a_toml_file_are_read(tmp_path: Path) -> None:
    file = tmp_path / "a.toml"
    file.write_text('[training]\nepochs = 3\nschedule = "cosine"\n')
    tables = read_toml(file, ("training", "encoder"))
    assert tables["encoder"] == {}
    settings = TrainingSettings.from_mapping(tables["training"], f"{file}: training")
    assert (settings.epochs, settings.schedule) == (3, "cosine")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("[optimizer]\nbeta = 1\n", r"optimizer: expected one of the tables \[training\]"),
        ("training = 3\n", "training: expected one of the tables"),
        ("[training\n", "not valid TOML: .*line 1"),
        ("[training]\nseed = 1\nseed = 2\n", "not valid TOML"),
    ],
)
def test_a_file_that_is_not_as_expected_is_refused_by_name(
    tmp_path: Path, content: str, message: str
) -> None:
    file = tmp_path / "a.toml"
    file.write_text(content)
    with pytest.raises(ConfigError, match=f"a.toml: {message}"):
        read_toml(file, ("training",))
    with pytest.raises(ConfigError, match=r"none\.toml: cannot be read: No such file"):
        read_toml(tmp_path / "none.toml", ("training",))
