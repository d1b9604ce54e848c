from collections.abc import Callable

import pytest
import torch

from bothways.lab import timing
from bothways.lab.timing import ATTEMPTS, SHORTEST, take_turns, torch_threads


@pytest.fixture
def taking(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Callable[[], object]]:
    """Makes calls that take so many seconds of a clock that nothing else moves."""
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


def test_threads_are_set_for_a_while_even_if_that_ends_badly() -> None:
    before = torch.get_num_threads()
    with torch_threads(before + 1):
        assert torch.get_num_threads() == before + 1
    with pytest.raises(KeyError), torch_threads(before + 1):
        raise KeyError
    assert torch.get_num_threads() == before


def test_calls_take_turns_and_the_first_turn_does_not_count(
    taking: Callable[..., Callable[[], object]],
) -> None:
    shares: list[float] = []
    found = take_turns({"a": taking("a", 1.0), "b": taking("b", 2.0)}, 2, shares.append)
    assert "".join(taking.seen) == "ababab"  # type: ignore[attr-defined]
    assert found == {"a": [1.0, 1.0], "b": [2.0, 2.0]}
    assert shares == sorted(shares)
    assert shares[-1] == 1


def test_what_is_short_is_called_often_and_its_time_is_that_of_one_call(
    taking: Callable[..., Callable[[], object]],
) -> None:
    found = take_turns({"short": taking("s", SHORTEST / 4)}, 3)
    assert found["short"] == pytest.approx([SHORTEST / 4] * 3)
    assert len(taking.seen) == 2 + 3 * 4  # type: ignore[attr-defined]


def test_a_time_in_which_others_had_the_core_is_taken_again(
    taking: Callable[..., Callable[[], object]],
) -> None:
    # The first call only warms up.
    assert take_turns({"a": taking("a", 1.0, disturbances=2)}, 1) == {"a": [1.0]}
    assert len(taking.seen) == 3  # type: ignore[attr-defined]
    assert take_turns({"b": taking("b", 1.0, disturbances=99)}, 1) == {"b": [2.0]}
    assert len(taking.seen) == 3 + 1 + ATTEMPTS  # type: ignore[attr-defined]
