import pytest

from bothways.lab.comparisons.speed.crossover import race

LENGTHS = (16, 64, 256, 1024)


def test_a_crossing_is_where_the_straight_lines_between_lengths_meet() -> None:
    # Ours is n², theirs 100 n: in logarithms both are straight, and they meet at 100.
    found = race(LENGTHS, [n**2 for n in LENGTHS], [100 * n for n in LENGTHS])
    assert found.first == "faster"
    assert list(found.crossings) == pytest.approx([100])
    assert str(found) == "faster up to 100 tokens"


def test_without_a_crossing_it_says_by_how_much() -> None:
    assert str(race(LENGTHS, [1, 2, 3, 4], [2, 4, 6, 16])) == "2.0 to 4.0× faster at every length"
    assert str(race(LENGTHS, [2, 2, 2, 2], [1, 1, 1, 1])) == "2.0× slower at every length"


def test_differences_that_mean_nothing_are_no_crossing() -> None:
    found = race(LENGTHS, [1.0, 1.02, 0.98, 1.0], [1.0, 1.0, 1.0, 1.0])
    assert str(found) == "as fast at every length"
    mostly = race(LENGTHS, [0.5, 1.02, 0.004, 0.5], [1, 1, 1, 1])
    assert str(mostly) == "never slower, up to 250× faster"


def test_several_crossings_are_all_told() -> None:
    found = race(LENGTHS, [2, 1, 1, 2], [1, 2, 2, 1])
    assert list(found.crossings) == pytest.approx([32, 512])
    assert str(found) == "slower up to 32 tokens, faster from 32 to 510, slower from 510"
