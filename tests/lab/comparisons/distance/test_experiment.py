import dataclasses
import json

import numpy as np
import pytest

from bothways.errors import ConfigError
from bothways.lab.comparisons.distance.experiment import (
    DistanceResult,
    build_model,
    run_distance,
    training_distances,
)
from bothways.lab.comparisons.distance.report import distance_sections
from bothways.lab.comparisons.distance.settings import PRESETS, DistanceSettings
from bothways.lab.parameter_counts import ParameterCounts
from bothways.lab.settings import Scale

QUICK = PRESETS["quick"]


@pytest.fixture(scope="module")
def result() -> DistanceResult:
    return run_distance(QUICK, lambda activity, fraction: None)


@pytest.mark.parametrize("scale", ["default", "full"])
def test_encoders_have_equally_many_parameters_within_five_percent(scale: Scale) -> None:
    settings = PRESETS[scale]
    counts = {
        name: ParameterCounts.of(build_model(settings, name, 0)) for name in settings.encoders
    }
    expected = counts["transformer"]
    total = expected.encoder + expected.head
    for name, count in counts.items():
        assert abs(count.encoder - expected.encoder) <= 0.05 * expected.encoder, name
        assert abs(count.encoder + count.head - total) <= 0.05 * total, name


def test_evaluated_distances_double_from_the_smallest_to_the_largest() -> None:
    assert DistanceSettings(length=66).evaluated_distances == (2, 4, 8, 16, 32, 64)
    assert DistanceSettings(length=65).evaluated_distances == (2, 4, 8, 16, 32)
    assert DistanceSettings(length=66, num_pairs=3).evaluated_distances == (3, 6, 12, 24, 48)


def test_training_has_each_doubling_of_the_distance_equally_often() -> None:
    settings = DistanceSettings(length=130, batch_size=100)
    distances = np.concatenate([training_distances(settings, 0, step) for step in range(30)])
    assert distances.min() == 2
    assert 120 < distances.max() <= 128
    counts = np.array(
        [np.sum((distances >= 2**i) & (distances < 2 ** (i + 1))) for i in range(1, 7)]
    )
    expected = 3000 * np.log(2) / np.log(129 / 2)
    assert np.abs(counts - expected).max() < 4 * expected**0.5


def test_results_have_each_seed_and_distance_and_are_json(result: DistanceResult) -> None:
    assert list(result.encoders) == ["transformer", "rnn", "lstm"]
    distances = QUICK.evaluated_distances
    for encoder in result.encoders.values():
        for numbers in (encoder.accuracies, encoder.initial_gradients, encoder.trained_gradients):
            assert list(numbers) == list(QUICK.seeds)
            assert all(tuple(by_distance) == distances for by_distance in numbers.values())
        assert all(len(losses) == QUICK.steps for losses in encoder.losses.values())
        assert encoder.tokens == QUICK.steps * QUICK.batch_size * QUICK.length
    raw = json.loads(json.dumps(result.to_dict()))
    assert 0 <= raw["encoders"]["lstm"]["accuracies"]["1"]["8"] <= 1


def test_the_same_settings_give_the_same_numbers(result: DistanceResult) -> None:
    again = run_distance(QUICK, lambda activity, fraction: None)
    for name, encoder in result.encoders.items():
        assert dataclasses.replace(again.encoders[name], seconds=encoder.seconds) == encoder


def test_progress_rises_to_the_end() -> None:
    fractions: list[float] = []
    run_distance(QUICK, lambda activity, fraction: fractions.append(fraction))
    assert fractions == sorted(fractions)
    assert fractions[-1] == pytest.approx(1)


def test_the_report_shows_every_encoder_and_distance(result: DistanceResult) -> None:
    recall, gradients, method = distance_sections(result)
    assert recall.tables[0].columns == ("encoder", "2", "4", "8")
    assert [row[0] for row in recall.tables[0].rows] == ["transformer", "rnn", "lstm"]
    paths = {row[0]: row[1:3] for row in gradients.tables[0].rows}
    assert paths == {"transformer": (1, 1), "rnn": (4, 8), "lstm": (4, 8)}
    for row, encoder in zip(method.tables[0].rows, result.encoders.values(), strict=True):
        assert row[1:3] == (encoder.parameters.encoder, encoder.parameters.head)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"encoders": ("abacus",)}, "abacus"),
        ({"encoders": ()}, "encoders"),
        ({"seeds": (1, 1)}, "seeds"),
        ({"steps": 0}, "steps=0"),
    ],
)
def test_invalid_settings_raise(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        DistanceSettings(**changes)  # type: ignore[arg-type]
