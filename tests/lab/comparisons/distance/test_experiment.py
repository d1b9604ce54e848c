import dataclasses
import json

import numpy as np
import pytest

from bothways.errors import ConfigError
from bothways.lab.comparisons.distance.experiment import (
    DistanceResult,
    DistanceSettings,
    run_distance,
    training_distances,
)
from bothways.lab.comparisons.distance.report import COMPARISON, distance_sections
from bothways.nn.baselines import count_parameters

QUICK = COMPARISON.settings["quick"]


@pytest.fixture(scope="module")
def result() -> DistanceResult:
    return run_distance(QUICK, lambda told, share: None)


@pytest.mark.parametrize("scale", ["default", "full"])
def test_encoders_have_as_many_weights_within_five_percent(scale: str) -> None:
    settings = COMPARISON.settings["default" if scale == "default" else "full"]
    counts = {
        name: count_parameters(settings.build(name, 0))  # type: ignore[arg-type]
        for name in settings.encoders
    }
    for name, count in counts.items():
        assert abs(count - counts["transformer"]) <= 0.05 * counts["transformer"], name


def test_distances_are_doublings_from_the_nearest_to_the_farthest() -> None:
    assert DistanceSettings(length=66).distances == (2, 4, 8, 16, 32, 64)
    assert DistanceSettings(length=65).distances == (2, 4, 8, 16, 32)
    assert DistanceSettings(length=66, num_pairs=3).distances == (3, 6, 12, 24, 48)


def test_training_practices_each_doubling_alike() -> None:
    settings = DistanceSettings(length=130, batch=100)
    drawn = np.concatenate([training_distances(settings, 0, step) for step in range(30)])
    assert drawn.min() == 2
    assert 120 < drawn.max() <= 128
    counts = np.array([np.sum((drawn >= 2**i) & (drawn < 2 ** (i + 1))) for i in range(1, 7)])
    expected = 3000 * np.log(2) / np.log(129 / 2)
    assert np.abs(counts - expected).max() < 4 * expected**0.5


def test_results_hold_each_seed_and_distance_and_are_json(result: DistanceResult) -> None:
    assert list(result.found) == ["transformer", "rnn", "lstm"]
    for found in result.found.values():
        for numbers in (found.accuracies, found.fresh, found.trained):
            assert list(numbers) == list(QUICK.seeds)
            assert all(tuple(by_distance) == QUICK.distances for by_distance in numbers.values())
        assert all(len(losses) == QUICK.steps for losses in found.losses.values())
        assert found.tokens == QUICK.steps * QUICK.batch * QUICK.length
    told = json.loads(json.dumps(result.to_dict()))
    assert 0 <= told["found"]["lstm"]["accuracies"]["1"]["8"] <= 1


def test_the_same_settings_give_the_same_numbers(result: DistanceResult) -> None:
    again = run_distance(QUICK, lambda told, share: None)
    for name, found in result.found.items():
        assert dataclasses.replace(again.found[name], seconds=found.seconds) == found


def test_progress_rises_to_the_end() -> None:
    shares: list[float] = []
    run_distance(QUICK, lambda told, share: shares.append(share))
    assert shares == sorted(shares)
    assert shares[-1] == pytest.approx(1)


def test_the_sections_say_every_encoder_and_distance(result: DistanceResult) -> None:
    recall, gradients, _ = distance_sections(result)
    assert recall.tables[0].columns == ("encoder", "2", "4", "8")
    assert [row[0] for row in recall.tables[0].rows] == ["transformer", "rnn", "lstm"]
    paths = {row[0]: row[1:3] for row in gradients.tables[0].rows}
    assert paths == {"transformer": (1, 1), "rnn": (4, 8), "lstm": (4, 8)}


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"encoders": ("abacus",)}, "abacus"),
        ({"encoders": ()}, "encoders"),
        ({"seeds": (1, 1)}, "seeds"),
        ({"steps": 0}, "steps=0"),
    ],
)
def test_settings_that_cannot_be_are_refused(wrong: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        DistanceSettings(**wrong)  # type: ignore[arg-type]
