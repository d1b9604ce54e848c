import math

import numpy as np
import pytest
from matplotlib.text import Annotation

from bothways.plotting.curves import ENCODER_STYLES, CurveWithRange, assign_styles, draw_curves
from bothways.plotting.style import new_figure


def test_a_curve_has_the_median_and_the_range_of_its_runs() -> None:
    line = CurveWithRange("lstm", [1, 2], [[1.0, 5.0], [2.0, 4.0], [9.0, 0.0]])
    np.testing.assert_array_equal(line.median, [2, 4])
    np.testing.assert_array_equal(line.lowest, [1, 0])
    np.testing.assert_array_equal(line.highest, [9, 5])


def test_curves_are_labeled_at_their_ends_and_axes_have_labels() -> None:
    axes = new_figure(5, 3).subplots()
    runs = [[1.0, 2.0, math.nan]]
    lines = [
        CurveWithRange("transformer", [1, 2, 4], runs),
        CurveWithRange("lstm", [1, 2, 4], [[1.0, 2.0, 3.0]]),
    ]
    draw_curves(axes, lines, x_label="length, tokens", y_label="time, ms", x_scale="log2")
    assert [text.get_text() for text in axes.texts] == ["transformer", "lstm"]
    ends = [text.xy[0] for text in axes.texts if isinstance(text, Annotation)]
    assert ends == pytest.approx([2, 4])  # the last finite value
    assert [tick.get_text() for tick in axes.get_xticklabels()] == ["1", "2", "4"]
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("length, tokens", "time, ms")


def test_a_curve_without_finite_values_has_no_label() -> None:
    axes = new_figure(5, 3).subplots()
    draw_curves(
        axes, [CurveWithRange("bag", [1, 2], [[math.nan, math.nan]])], x_label="x", y_label="y"
    )
    assert len(axes.texts) == 0


@pytest.mark.parametrize("count", [1, 7, 14])
def test_assigned_styles_differ(count: int) -> None:
    assert len(set(assign_styles([str(i) for i in range(count)]).values())) == count


def test_encoder_styles_differ() -> None:
    assert len(set(ENCODER_STYLES.values())) == len(ENCODER_STYLES)
