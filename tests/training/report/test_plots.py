import re
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.image import imread

from bothways.errors import MissingExtra
from bothways.installation import install_command
from bothways.plotting import style
from bothways.training.objectives.metrics import class_counts, confusion_matrix, reliability
from bothways.training.report import plots
from bothways.training.report.plots import (
    MAX_CLASSES,
    Curve,
    draw_class_scores,
    draw_confusion,
    draw_learning_curve,
    draw_parity,
    draw_reliability,
)

NOTHING = Curve(np.zeros(0, int), np.zeros(0))


def _curve(points: int) -> Curve:
    steps = np.arange(1, points + 1)
    return Curve(steps, np.exp(-steps / points))


def _drawn(path: Path) -> tuple[int, int]:
    """Width and height in pixels of a figure on which something is drawn, in several colors."""
    image = imread(path)
    assert len(np.unique(image.reshape(-1, image.shape[2]), axis=0)) > 3
    return image.shape[1], image.shape[0]


def test_smoothing_keeps_a_straight_line_where_it_has_neighbors() -> None:
    line = Curve(np.arange(100), np.linspace(0.0, 1.0, 100))
    np.testing.assert_allclose(line.smoothed()[10:-10], line.values[10:-10], atol=1e-12)


@pytest.mark.parametrize("points", [1, 2, 5, 40])
def test_smoothing_changes_no_constant_and_no_length(points: int) -> None:
    constant = Curve(np.arange(points), np.full(points, 3.0))
    np.testing.assert_allclose(constant.smoothed(), constant.values, atol=1e-12)


def test_smoothing_reduces_noise() -> None:
    noise = Curve(np.arange(500), np.random.default_rng(0).normal(size=500))
    assert noise.smoothed().std() < noise.values.std() / 3


@pytest.mark.parametrize(
    ("points", "validations", "metric"), [(1, 0, "loss"), (2, 1, "loss"), (30, 5, "accuracy")]
)
def test_a_learning_curve_of_any_length_is_drawn(
    tmp_path: Path, points: int, validations: int, metric: str
) -> None:
    validation = _curve(validations) if validations else NOTHING
    draw_learning_curve(
        tmp_path / "curve.png",
        loss=_curve(points),
        learning_rate=_curve(points),
        validation_loss=validation,
        monitored=validation,
        metric=metric,
        better="lower",
    )
    _drawn(tmp_path / "curve.png")


@pytest.mark.parametrize("count", [1, 2, 13, 100])
def test_a_confusion_matrix_grows_with_its_classes_up_to_a_page(tmp_path: Path, count: int) -> None:
    rng = np.random.default_rng(0)
    predicted, target = rng.integers(0, count, (2, 200))
    confusion = confusion_matrix(predicted, target, count)
    draw_confusion(tmp_path / "confusion.png", confusion, [f"class {i}" for i in range(count)])
    width, height = _drawn(tmp_path / "confusion.png")
    assert width < 2400
    assert height < 2400


def test_the_rarest_of_too_many_classes_are_merged() -> None:
    rng = np.random.default_rng(0)
    target = np.repeat(np.arange(50), np.arange(1, 51))
    confusion = confusion_matrix(rng.permutation(target), target, 50)
    merged, names = plots._with_rarest_merged(confusion, [str(i) for i in range(50)])
    assert names[-1] == "11 others"
    assert list(names[:-1]) == [str(i) for i in range(11, 50)]
    assert merged.shape == (MAX_CLASSES, MAX_CLASSES)
    assert merged.sum() == confusion.sum()
    assert np.array_equal(merged[:-1, :-1], confusion[11:, 11:])
    assert merged[-1, -1] == confusion[:11, :11].sum()


@pytest.mark.parametrize("count", [1, 3, 60])
def test_scores_of_any_number_of_classes_are_drawn(tmp_path: Path, count: int) -> None:
    rng = np.random.default_rng(0)
    predicted, target = rng.integers(0, count, (2, 200))
    counts = class_counts(confusion_matrix(predicted, target, count))
    draw_class_scores(tmp_path / "scores.png", counts, [f"class {i}" for i in range(count)])
    _drawn(tmp_path / "scores.png")


def test_reliability_is_drawn_where_most_bins_are_empty(tmp_path: Path) -> None:
    draw_reliability(tmp_path / "r.png", reliability(np.array([0.9, 1.0]), np.array([True, False])))
    _drawn(tmp_path / "r.png")


@pytest.mark.parametrize("points", [1, 50, plots.MAX_POINTS + 1])
def test_any_number_of_values_is_drawn(tmp_path: Path, points: int) -> None:
    target = np.linspace(-5.0, 5.0, points)
    draw_parity(tmp_path / "parity.png", target + 0.1, target, "height (m)")
    _drawn(tmp_path / "parity.png")


def test_a_label_with_a_formula_is_drawn_as_text(tmp_path: Path) -> None:
    labels = [r"$\broken{", "$x$"]  # the first would raise
    confusion = np.eye(2, dtype=int)
    draw_confusion(tmp_path / "confusion.png", confusion, labels)
    draw_class_scores(tmp_path / "scores.png", class_counts(confusion), labels)
    draw_parity(tmp_path / "parity.png", np.arange(3.0), np.arange(3.0), labels[0])


def test_without_matplotlib_drawing_names_the_extra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(style, "find_spec", lambda name: None)
    with pytest.raises(MissingExtra, match=re.escape(install_command("plots"))):
        draw_confusion(tmp_path / "c.png", np.eye(2), ["a", "b"])
    with pytest.raises(MissingExtra, match="plots"):
        draw_reliability(tmp_path / "r.png", reliability(np.ones(1), np.ones(1)))


def test_drawing_leaves_the_settings_of_matplotlib_unchanged(tmp_path: Path) -> None:
    before = dict(mpl.rcParams)
    draw_parity(tmp_path / "parity.png", np.arange(3.0), np.arange(3.0), "a")
    assert dict(mpl.rcParams) == before
