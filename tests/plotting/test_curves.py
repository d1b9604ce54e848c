import math

import numpy as np
import pytest
from matplotlib.text import Annotation

from bothways.plotting.curves import STYLES, Line, draw_lines, numbered_styles
from bothways.plotting.style import new_figure


def test_a_line_is_the_median_between_the_lowest_and_the_highest() -> None:
    line = Line("lstm", [1, 2], [[1.0, 5.0], [2.0, 4.0], [9.0, 0.0]])
    np.testing.assert_array_equal(line.middle, [2, 4])
    np.testing.assert_array_equal(line.lowest, [1, 0])
    np.testing.assert_array_equal(line.highest, [9, 5])


def test_every_curve_is_named_at_its_end_and_axes_say_what_they_are() -> None:
    axes = new_figure(5, 3).subplots()
    runs = [[1.0, 2.0, math.nan]]
    lines = [Line("transformer", [1, 2, 4], runs), Line("lstm", [1, 2, 4], [[1.0, 2.0, 3.0]])]
    draw_lines(axes, lines, x_label="length, tokens", y_label="time, ms", x_scale="log2")
    assert [text.get_text() for text in axes.texts] == ["transformer", "lstm"]
    ends = [text.xy[0] for text in axes.texts if isinstance(text, Annotation)]
    assert ends == pytest.approx([2, 4])  # where there is a last value
    assert [tick.get_text() for tick in axes.get_xticklabels()] == ["1", "2", "4"]
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("length, tokens", "time, ms")


def test_a_curve_without_any_value_has_no_name() -> None:
    axes = new_figure(5, 3).subplots()
    draw_lines(axes, [Line("bag", [1, 2], [[math.nan, math.nan]])], x_label="x", y_label="y")
    assert len(axes.texts) == 0


@pytest.mark.parametrize("count", [1, 7, 14])
def test_numbered_styles_differ(count: int) -> None:
    assert len(set(numbered_styles([str(i) for i in range(count)]).values())) == count


def test_encoders_look_different() -> None:
    assert len(set(STYLES.values())) == len(STYLES)
