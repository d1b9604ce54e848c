import itertools
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bothways.errors import MissingExtra
from bothways.installation import install_command
from bothways.plotting import style
from bothways.plotting.style import (
    BLUE,
    GREEN,
    MAX_LABEL,
    CurveEnd,
    label_ends,
    new_figure,
    printable_labels,
    spread_labels,
    style_axes,
)


def test_labels_show_math_literally_and_replace_unavailable_characters() -> None:
    known = ["price $", "a", "ä"]
    assert printable_labels([*known, "日本", ""]) == [*known, "#3", "#4"]
    (cut,) = printable_labels(["x" * 100])
    assert len(cut) == MAX_LABEL


def test_without_matplotlib_the_error_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(style, "find_spec", lambda name: None)
    with pytest.raises(MissingExtra, match=re.escape(install_command("plots"))):
        new_figure(1, 1)


@given(st.lists(st.floats(-1e3, 1e3), max_size=9).map(sorted))
def test_spread_positions_keep_their_mean_and_minimum_distance(places: list[float]) -> None:
    moved = spread_labels(places, 5.0)
    assert all(b - a >= 5.0 - 1e-9 for a, b in itertools.pairwise(moved))
    assert np.sum(moved) == pytest.approx(np.sum(places), abs=1e-6)  # each pool keeps its mean


def test_positions_that_are_far_enough_apart_do_not_move() -> None:
    assert spread_labels([0.0, 5.0, 11.0], 5.0) == [0.0, 5.0, 11.0]


def test_labels_of_curves_with_the_same_end_do_not_overlap() -> None:
    figure = new_figure(4, 3)
    axes = style_axes(figure.subplots())
    axes.plot([0, 1], [0, 1])
    label_ends(axes, [CurveEnd(1, 1, "up", BLUE), CurveEnd(1, 1, "also up", GREEN)])
    figure.draw_without_rendering()
    first, second = (text.get_window_extent() for text in axes.texts)
    assert {text.get_text() for text in axes.texts} == {"up", "also up"}
    assert not first.overlaps(second)
