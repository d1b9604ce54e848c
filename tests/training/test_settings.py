import dataclasses
import json
from typing import Any

import numpy as np
import pytest

from bothways.errors import ConfigError
from bothways.io.options import from_table
from bothways.training.resolved_settings import resolve_settings
from bothways.training.settings import TrainingSettings

FIFTY_STEPS: dict[str, Any] = {
    "lengths": np.full(4096, 50),
    "from_scratch": True,
    "gpu": False,
    "bf16": False,
}
"""A dataset of fifty steps of 4,096 tokens, for a new model on a CPU."""


def resolve(settings: TrainingSettings, **changed: Any) -> Any:
    return resolve_settings(settings, **(FIFTY_STEPS | changed))


def test_only_limits_stay_open_after_resolving() -> None:
    values = resolve(TrainingSettings()).to_dict()
    open_fields = [name for name, value in values.items() if value is None]
    assert open_fields == ["max_steps", "patience", "linear_term", "folds", "device", "threads"]


def test_resolving_keeps_the_values_that_the_user_set() -> None:
    settings = TrainingSettings(epochs=3, learning_rate=1e-3, validate_every=7, clip_norm=0)
    resolved = resolve(settings)
    assert (resolved.epochs, resolved.learning_rate, resolved.validate_every) == (3, 1e-3, 7)
    assert resolved.checkpoint_every == 7
    assert resolved.clip_norm == 0


def test_new_models_train_longer_and_with_a_higher_learning_rate_than_fine_tuned_ones() -> None:
    new = resolve(TrainingSettings())
    fine_tuned = resolve(TrainingSettings(), from_scratch=False)
    assert (new.learning_rate, fine_tuned.learning_rate) == (1e-3, 5e-5)
    assert (new.epochs, fine_tuned.epochs) == (20, 4)
    few = np.full(40, 10)  # five steps of eight sequences in an epoch
    assert resolve(TrainingSettings(), lengths=few).epochs == 20
    assert resolve(TrainingSettings(), lengths=few, max_epochs=100).epochs == 100
    assert resolve(TrainingSettings(), lengths=np.full(200, 10), max_epochs=100).epochs == 640 / 25
    assert new.total_steps(50) > fine_tuned.total_steps(50)
    head = resolve(TrainingSettings(frozen=True), from_scratch=False)
    assert (head.learning_rate, head.epochs) == (3e-3, 20)


def test_new_models_average_their_weights_and_fine_tuning_spares_lower_layers() -> None:
    new, fine_tuned, head = (
        resolve(TrainingSettings(frozen=frozen), from_scratch=from_scratch)
        for frozen, from_scratch in ((False, True), (False, False), (True, False))
    )
    assert [each.ema for each in (new, fine_tuned, head)] == [0.1, 0.0, 0.0]
    assert [each.layer_decay for each in (new, fine_tuned, head)] == [1.0, 0.9, 1.0]


def test_settings_that_an_earlier_version_lacked_stay_as_it_had_them() -> None:
    earlier = resolve(TrainingSettings(ema=0.0, layer_decay=1.0)).to_dict()
    del earlier["ema"], earlier["layer_decay"]
    settings = TrainingSettings().as_in_earlier_version(earlier)
    assert resolve(settings).first_change(earlier) is None
    chosen = TrainingSettings(ema=0.5).as_in_earlier_version(earlier)
    assert resolve(chosen).first_change(earlier) == "ema"


def test_max_steps_alone_determines_the_length_of_a_run() -> None:
    assert resolve(TrainingSettings(max_steps=10_000)).total_steps(50) == 10_000
    assert resolve(TrainingSettings(max_steps=7)).total_steps(50) == 7
    assert resolve(TrainingSettings(max_steps=700, epochs=2)).total_steps(50) == 100


def test_small_data_gets_many_small_steps() -> None:
    def batch_tokens(count: int) -> int:
        tokens: int = resolve(TrainingSettings(), lengths=np.full(count, 20)).batch_tokens
        return tokens

    assert batch_tokens(100_000) == 4096
    assert batch_tokens(3200) == 3200 * 20 // 32
    assert batch_tokens(100) == 8 * 20
    settings = TrainingSettings(batch_tokens=999)
    assert resolve(settings, lengths=np.full(100, 20)).batch_tokens == 999


def test_short_runs_validate_ten_times_and_long_runs_every_epoch() -> None:
    assert resolve(TrainingSettings(epochs=2)).validate_every == 10
    assert resolve(TrainingSettings(epochs=30)).validate_every == 50


def test_the_longest_run_logs_ten_thousand_lines() -> None:
    assert resolve(TrainingSettings()).log_every == 1
    assert resolve(TrainingSettings(max_steps=1_000_000)).log_every == 100


def test_a_gpu_gets_larger_batches_and_bf16_if_it_supports_it() -> None:
    resolved = resolve(TrainingSettings(), gpu=True, bf16=True)
    assert (resolved.precision, resolved.micro_tokens) == ("bf16", 32_768)
    assert resolve(TrainingSettings(), gpu=True).precision == "fp32"


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("epochs", "3", "a number or None"),
        ("epochs", 0, "more than 0"),
        ("epochs", float("nan"), "more than 0"),
        ("batch_tokens", 0, "at least 1"),
        ("batch_tokens", 1.5, "an integer"),
        ("batch_tokens", True, "an integer"),
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
def test_an_invalid_value_is_refused_with_its_field_and_what_was_expected(
    name: str, value: Any, expected: str
) -> None:
    with pytest.raises(ConfigError, match=f"^a.toml {name}=.*: expected .*{expected}"):
        from_table(TrainingSettings, {name: value}, "a.toml")


def test_resolved_settings_keep_the_bounds_of_their_options() -> None:
    with pytest.raises(ConfigError, match="batch_tokens=0: expected at least 1"):
        dataclasses.replace(resolve(TrainingSettings()), batch_tokens=0)


def test_settings_survive_json() -> None:
    settings = resolve(TrainingSettings(learning_rate=1 / 3))
    assert settings.first_change(json.loads(json.dumps(settings.to_dict()))) is None


def test_a_changed_setting_is_reported_unless_it_affects_no_weight() -> None:
    earlier = resolve(TrainingSettings()).to_dict()
    assert resolve(TrainingSettings(warmup=0.2)).first_change(earlier) == "warmup"
    harmless = TrainingSettings(log_every=5, keep_checkpoints=9, tensorboard=True, threads=3)
    assert resolve(harmless).first_change(earlier) is None
    del earlier["beta2"]
    assert resolve(TrainingSettings()).first_change(earlier) == "beta2"
