from collections.abc import Callable

import pytest

from bothways.lab import timing
from bothways.lab.timing import MAX_ATTEMPTS, MIN_SECONDS, time_interleaved


@pytest.fixture
def timed_call(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Callable[[], object]]:
    """Makes calls that take a given time on a simulated clock."""
    now = used = 0.0
    seen: list[str] = []

    def make(name: str, seconds: float, disturbances: int = 0) -> Callable[[], object]:
        left = disturbances

        def call() -> None:
            nonlocal now, used, left
            used += seconds
            now += seconds if left == 0 else 2 * seconds
            left = max(0, left - 1)
            seen.append(name)

        return call

    monkeypatch.setattr(timing, "perf_counter", lambda: now)
    monkeypatch.setattr(timing, "process_time", lambda: used)
    make.seen = seen  # type: ignore[attr-defined]
    return make


def test_calls_take_turns_and_the_first_turn_does_not_count(
    timed_call: Callable[..., Callable[[], object]],
) -> None:
    fractions: list[float] = []
    times = time_interleaved(
        {"a": timed_call("a", 1.0), "b": timed_call("b", 2.0)}, 2, fractions.append
    )
    assert "".join(timed_call.seen) == "ababab"  # type: ignore[attr-defined]
    assert times == {"a": [1.0, 1.0], "b": [2.0, 2.0]}
    assert fractions == sorted(fractions)
    assert fractions[-1] == 1


def test_a_short_call_is_repeated_and_its_time_is_per_call(
    timed_call: Callable[..., Callable[[], object]],
) -> None:
    times = time_interleaved({"short": timed_call("s", MIN_SECONDS / 4)}, 3)
    assert times["short"] == pytest.approx([MIN_SECONDS / 4] * 3)
    assert len(timed_call.seen) == 2 + 3 * 4  # type: ignore[attr-defined]


def test_a_disturbed_timing_is_repeated(
    timed_call: Callable[..., Callable[[], object]],
) -> None:
    # The first call is the warm-up.
    assert time_interleaved({"a": timed_call("a", 1.0, disturbances=2)}, 1) == {"a": [1.0]}
    assert len(timed_call.seen) == 3  # type: ignore[attr-defined]
    assert time_interleaved({"b": timed_call("b", 1.0, disturbances=99)}, 1) == {"b": [2.0]}
    assert len(timed_call.seen) == 3 + 1 + MAX_ATTEMPTS  # type: ignore[attr-defined]
