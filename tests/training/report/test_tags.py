from collections.abc import Callable

import numpy as np

from bothways.training.data.dataset import IGNORED
from bothways.training.report.held_out import HeldOutResults
from bothways.training.report.tags import tags

Hold = Callable[..., HeldOutResults]

LABELS = ("O", "B-X", "I-X")


def test_the_worst_sequences_are_found_past_those_without_labels(hold: Hold) -> None:
    none = np.array([IGNORED, IGNORED, IGNORED])
    targets = [np.array([IGNORED, 1, 2]), none, np.array([0, 0, IGNORED])]
    evaluated = {  # the third row, then the first; the second has nothing to evaluate
        "predictions": np.array([0, 1, 0, 0]),
        "targets": np.array([0, 0, 1, 2]),
        "confidence": np.full(4, 0.5),
        "begins": np.array([True, False, True, False]),
    }
    held_out = hold(evaluated, ["first", "second", "third"], targets)
    *_, mistakes = tags(held_out, LABELS, spans=True)
    assert mistakes.text.split("\n")[-2:] == [
        "| a.csv, row 1 | 2 | 2 | first |",
        "| a.csv, row 3 | 1 | 2 | third |",
    ]
    assert "2 of 2 sequences" in mistakes.text


def test_spans_are_scored_if_tags_mark_them(hold: Hold) -> None:
    evaluated = {
        "predictions": np.array([1, 2, 0]),
        "targets": np.array([1, 2, 0]),
        "confidence": np.ones(3),
        "begins": np.array([True, False, False]),
    }
    held_out = hold(evaluated, ["a"], [np.array([1, 2, 0])])
    spans, by_tag, *_, mistakes = tags(held_out, LABELS, spans=True)
    assert spans.title == "Scores by span"
    assert "| 0 | X | 1.000 | 1.000 | 1.000 | 1 |" in spans.text
    assert by_tag.title == "Scores by tag"
    assert mistakes.text == "0 of 1 sequences have a wrong tag."
    assert next(tags(held_out, LABELS, spans=False)).title == "Scores by tag"
