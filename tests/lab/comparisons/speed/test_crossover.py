import pytest

from bothways.lab.comparisons.speed.crossover import relate_times

LENGTHS = (16, 64, 256, 1024)


def test_a_crossover_is_interpolated_between_lengths() -> None:
    # n² and 100 n are straight lines in logarithms, which meet at 100.
    relation = relate_times(LENGTHS, [n**2 for n in LENGTHS], [100 * n for n in LENGTHS])
    assert relation.first == "faster"
    assert list(relation.crossovers) == pytest.approx([100])
    assert str(relation) == "faster up to 100 tokens"


def test_without_a_crossover_the_factor_is_shown() -> None:
    faster = relate_times(LENGTHS, [1, 2, 3, 4], [2, 4, 6, 16])
    assert str(faster) == "2.0 to 4.0× faster at every length"
    slower = relate_times(LENGTHS, [2, 2, 2, 2], [1, 1, 1, 1])
    assert str(slower) == "2.0× slower at every length"


def test_small_differences_are_no_crossover() -> None:
    equal = relate_times(LENGTHS, [1.0, 1.02, 0.98, 1.0], [1.0, 1.0, 1.0, 1.0])
    assert str(equal) == "equal at every length"
    partly_equal = relate_times(LENGTHS, [0.5, 1.02, 0.004, 0.5], [1, 1, 1, 1])
    assert str(partly_equal) == "never slower, up to 250× faster"


def test_all_crossovers_are_shown() -> None:
    relation = relate_times(LENGTHS, [2, 1, 1, 2], [1, 2, 2, 1])
    assert list(relation.crossovers) == pytest.approx([32, 512])
    assert str(relation) == "slower up to 32 tokens, faster from 32 to 510, slower from 510"
