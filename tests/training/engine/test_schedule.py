import itertools
import math

import pytest

from bothways.training.engine.schedule import learning_rate
from bothways.training.settings import Schedule

SCHEDULES: list[Schedule] = ["linear", "cosine", "constant"]


def rates(schedule: Schedule, total: int, warmup: int) -> list[float]:
    return [
        learning_rate(step, total, peak=0.1, warmup_steps=warmup, schedule=schedule)
        for step in range(total)
    ]


@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize(("total", "warmup"), [(100, 10), (100, 0), (3, 1), (1, 0)])
def test_every_step_has_a_learning_rate_above_zero_and_at_most_the_highest(
    schedule: Schedule, total: int, warmup: int
) -> None:
    assert all(0 < rate <= 0.1 for rate in rates(schedule, total, warmup))


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_the_warm_up_rises_linearly_to_the_peak(schedule: Schedule) -> None:
    assert rates(schedule, 50, 5)[:5] == pytest.approx([0.02, 0.04, 0.06, 0.08, 0.1])


def test_linear_decays_evenly_to_zero_just_after_the_last_step() -> None:
    found = [*rates("linear", 20, 4), 0.0]
    falls = [before - after for before, after in itertools.pairwise(found[3:])]
    assert falls == pytest.approx([0.1 / 17] * 17)


def test_cosine_is_half_of_the_peak_halfway_through_the_decay() -> None:
    found = rates("cosine", 19, 0)
    assert found[9] == pytest.approx(0.05)
    assert found[4] == pytest.approx(0.1 * (1 + math.cos(math.pi / 4)) / 2)
    assert found == sorted(found, reverse=True)


def test_constant_stays() -> None:
    assert set(rates("constant", 30, 3)[2:]) == {0.1}
