from collections.abc import Callable

import numpy as np

from bothways.training.objectives.metrics import label_counts
from bothways.training.report.classes import (
    MAX_ROWS,
    calibration,
    one_class,
    scores,
    several_classes,
)
from bothways.training.report.held_out import HeldOutResults

Hold = Callable[..., HeldOutResults]


def test_the_worst_mistakes_come_first_with_their_rows(hold: Hold) -> None:
    probabilities = np.array([[0.4, 0.6], [0.9, 0.1], [0.99, 0.01]])
    evaluated = {"probabilities": probabilities, "targets": np.array([0, 0, 1])}
    sections = list(one_class(hold(evaluated, ["first", "se|cond", "third"]), ("no", "yes")))
    assert [s.title for s in sections] == [
        "Scores by class", "Confusion", "Calibration", "Mistakes"
    ]  # fmt: skip
    rows = sections[-1].text.split("\n")[-2:]
    assert rows == [  # evaluated in reverse
        "| a.csv, row 1 | yes | 0.01 | no | 0.99 | first |",
        "| a.csv, row 3 | no | 0.4 | yes | 0.6 | third |",
    ]


def test_scores_and_confusions_are_listed(hold: Hold) -> None:
    evaluated = {"probabilities": np.eye(3)[[0, 0, 1, 2]], "targets": np.array([0, 1, 1, 2])}
    by_class, confusion, *_ = one_class(hold(evaluated, list("abcd")), ("x", "y", "z"))
    assert "| 0 | x | 0.500 | 1.000 | 0.667 | 1 |" in by_class.text
    assert "| y | x | 1 | 50.0 % |" in confusion.text


def test_a_perfect_classifier_has_no_mistakes(hold: Hold) -> None:
    evaluated = {"probabilities": np.eye(2), "targets": np.arange(2)}
    _, confusion, _, mistakes = one_class(hold(evaluated, ["a", "b"]), ("x", "y"))
    assert confusion.text == "No errors."
    assert mistakes.text == "None in 2 sequences."


def test_missed_and_wrong_labels_are_listed(hold: Hold) -> None:
    evaluated = {
        "probabilities": np.array([[0.9, 0.2, 0.1], [0.9, 0.9, 0.1]]),
        "targets": np.array([[1.0, 0, 0], [0, 1, 1]]),
        "loss": np.array([[0.1, 0.2, 0.1], [2.0, 0.1, 2.0]]),
    }
    sections = list(several_classes(hold(evaluated, ["b", "a"]), ("x", "y", "z")))
    assert sections[-1].text.endswith("| a.csv, row 1 | z | x | b |")
    assert "1 of 2 sequences" in sections[-1].text


def test_confidence_in_several_labels_is_in_their_presence_or_absence(hold: Hold) -> None:
    evaluated = {
        "probabilities": np.array([[0.75, 0.25]]),
        "targets": np.array([[1.0, 0]]),
        "loss": np.zeros((1, 2)),
    }
    _, told, _ = several_classes(hold(evaluated, ["a"]), ("x", "y"))
    assert "mean confidence is 75.0 %" in told.text
    assert "is 0.250; 0 is best" in told.text


def test_calibration_compares_confidence_and_accuracy() -> None:
    told = calibration(np.full(4, 0.9), np.array([True, True, True, False]))
    assert "The accuracy is 75.0 %" in told.text
    assert "0.150" in told.text


def test_only_the_most_frequent_of_many_classes_are_listed() -> None:
    target = np.triu(np.ones((300, 300)))  # label i occurs i + 1 times
    told = scores(label_counts(target, target), [f"c{i}" for i in range(300)], "label")
    assert "| 299 | c299 |" in told.text
    assert "c99 |" not in told.text
    assert told.text.endswith(f"The {MAX_ROWS} most frequent of 300.")
