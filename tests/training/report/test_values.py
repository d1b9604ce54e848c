from collections.abc import Callable

import numpy as np

from bothways.training.report.held_out import HeldOutResults
from bothways.training.report.values import MAX_FIGURES, values

Hold = Callable[..., HeldOutResults]


def test_errors_are_listed_with_the_standard_deviation_of_the_targets(hold: Hold) -> None:
    evaluated = {
        "predictions": np.array([[11.0], [10], [30]]),
        "targets": np.array([[10.0], [10], [40]]),
    }
    errors, largest = values(hold(evaluated, ["a", "b", "c"]), ("height",))
    row = next(line for line in errors.text.split("\n") if "height" in line)
    assert row.startswith("| height | 3.667 | 5.802 | 14.14 |")
    assert [figure.name for figure in errors.figures] == ["predicted"]
    assert largest.text.split("\n")[2] == "| a.csv, row 1 | height | 40 | 30 | -10 | a |"


def test_the_value_with_the_largest_error_is_listed(hold: Hold) -> None:
    target = np.array([[0.0, 0.0], [100.0, 1.0]])
    evaluated = {"predictions": target + np.array([[10.0, 0.5], [0, 0]]), "targets": target}
    _, largest = values(hold(evaluated, ["a", "b"]), ("wide", "narrow"))
    assert largest.text.split("\n")[2] == "| a.csv, row 2 | narrow | 0 | 0.5 | 0.5 | b |"


def test_not_every_one_of_many_values_is_drawn(hold: Hold) -> None:
    labels = tuple(f"v{i}" for i in range(MAX_FIGURES + 3))
    many = np.zeros((2, len(labels)))
    errors, _ = values(hold({"predictions": many, "targets": many}, ["a", "b"]), labels)
    assert len(errors.figures) == MAX_FIGURES
    assert len({figure.name for figure in errors.figures}) == MAX_FIGURES
    assert f"| v{MAX_FIGURES + 2} |" in errors.text
