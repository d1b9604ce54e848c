"""Open a report in headless Chromium without a network."""

from pathlib import Path

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.image import imread
from tests.support.browser import needs_browser, run_browser

from bothways.lab.report.content import ComparisonReport, PageFigure, PageSection, ReportTable
from bothways.lab.report.writer import write_report
from bothways.plotting.style import BLUE

pytestmark = needs_browser

HOSTILE = '<script>document.body.innerHTML = "taken"</script><img src=x onerror="alert(1)">'


def _square(axes: Axes) -> None:
    axes.axvspan(0, 1, color=BLUE)


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    figure = PageFigure("square", _square, "A square.", "A blue square.")
    table = ReportTable("Numbers", ("name", "score"), ((HOSTILE, 0.5),))
    section = PageSection("Heading", (HOSTILE,), (figure,), (table,))
    content = ComparisonReport("A report", "bothways compare", {}, (section,), {})
    return write_report(tmp_path_factory.mktemp("report"), content)


def test_a_report_is_rendered_with_escaped_texts(report: Path, tmp_path: Path) -> None:
    dom = run_browser(report.as_uri(), tmp_path, "--dump-dom")
    assert "<h1>A report</h1>" in dom
    assert "<h2>How to reproduce this report</h2>" in dom
    assert dom.count("&lt;script&gt;") == 2  # in the paragraph and in the table
    assert "<script" not in dom
    assert dom.count("<img") == 1


def test_the_figure_is_visible_without_a_network(report: Path, tmp_path: Path) -> None:
    picture = tmp_path / "page.png"
    run_browser(report.as_uri(), tmp_path, f"--screenshot={picture}", "--window-size=800,1400")
    pixels = imread(picture)[..., :3]
    blue = np.array([int(BLUE[i : i + 2], 16) / 255 for i in (1, 3, 5)])
    share = (np.abs(pixels - blue).max(axis=2) < 0.02).mean()
    assert share > 0.05
