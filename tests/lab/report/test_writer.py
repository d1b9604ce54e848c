import json
import math
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.image import imread

from bothways.errors import DataFileError, MissingExtra
from bothways.lab.report.content import ComparisonReport, PageFigure, PageSection, ReportTable
from bothways.lab.report.writer import write_report
from bothways.plotting import style
from bothways.plotting.style import new_figure

HOSTILE = '</title><script>alert("&")</script><img src=x onerror=alert(1)> \u202eabc\x00'


def _line(axes: Axes) -> None:
    axes.plot([0, 1], [0, 1])


def _report(text: str = "Example text.") -> ComparisonReport:
    figure = PageFigure("course", _line, f"Caption: {text}", f"Alt: {text}")
    table = ReportTable(
        f"ReportTable: {text}", ("name", "score", text), (("a", 0.51234, text), ("b", 12345, None))
    )
    section = PageSection(f"Heading: {text}", (text,), (figure,), (table,))
    raw = {"curve": np.array([1.0, math.nan]), "seeds": (np.int64(1), 2), "text": text}
    return ComparisonReport(
        f"Title: {text}", f"bothways compare {text}", {"seeds": text}, (section,), raw
    )


class Page(HTMLParser):
    """Parses the elements and the text of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


def _page(path: Path) -> Page:
    return Page(path.read_text(encoding="utf-8"))


def test_a_report_is_a_page_with_figures_and_raw_numbers(tmp_path: Path) -> None:
    path = write_report(tmp_path / "new" / "report", _report())
    assert path == tmp_path / "new" / "report" / "report.html"
    names = {file.name for file in path.parent.iterdir()}
    assert names == {"report.html", "course.png", "raw.json"}
    assert len(np.unique(imread(path.parent / "course.png"))) > 3  # something is drawn
    assert "Example text." in _page(path).text


def test_the_page_has_no_external_resources(tmp_path: Path) -> None:
    page = _page(write_report(tmp_path, _report()))
    tags = {tag for tag, _ in page.elements}
    assert "img" in tags
    assert not tags & {"script", "link", "iframe", "object", "embed", "base", "form", "a", "svg"}
    for _, attributes in page.elements:
        assert not [name for name in attributes if name.startswith("on")]
        assert (attributes.get("src") or "data:").startswith("data:image/png;base64,") or (
            "src" not in attributes
        )
    style = re.search("<style>(.*)</style>", (tmp_path / "report.html").read_text(), re.DOTALL)
    assert style is not None
    assert "url(" not in style[1]
    assert "@import" not in style[1]


def test_the_content_security_policy_forbids_fetching_and_scripts(tmp_path: Path) -> None:
    page = _page(write_report(tmp_path, _report()))
    (policy,) = [a["content"] for tag, a in page.elements if tag == "meta" and "http-equiv" in a]
    assert policy is not None
    assert policy.startswith("default-src 'none'")
    assert "script" not in policy


def test_untrusted_texts_are_escaped(tmp_path: Path) -> None:
    page = _page(write_report(tmp_path, _report(HOSTILE)))
    plain = {tag for tag, _ in _page(write_report(tmp_path / "plain", _report())).elements}
    assert {tag for tag, _ in page.elements} == plain
    assert '<script>alert("&")</script>' in page.text
    assert "\x00" not in page.text
    assert "\u202e" not in page.text  # right-to-left override


def test_lone_surrogates_are_written_as_escapes(tmp_path: Path) -> None:
    assert "\\ud83d" in _page(write_report(tmp_path, _report("half: \ud83d"))).text


def test_every_figure_has_an_alternative_text(tmp_path: Path) -> None:
    page = _page(write_report(tmp_path, _report()))
    assert [a["alt"] for tag, a in page.elements if tag == "img"] == ["Alt: Example text."]


def test_numpy_values_and_nan_become_json(tmp_path: Path) -> None:
    write_report(tmp_path, _report())
    raw = json.loads((tmp_path / "raw.json").read_text(), parse_constant=pytest.fail)
    assert raw["results"] == {"curve": [1.0, None], "seeds": [1, 2], "text": "Example text."}
    assert raw["command"] == "bothways compare Example text."


def test_numbers_in_a_table_are_rounded_and_right_aligned(tmp_path: Path) -> None:
    page = (write_report(tmp_path, _report())).read_text()
    assert '<td class="number"><bdi>0.5123</bdi></td>' in page
    assert '<td class="number"><bdi>12,345</bdi></td>' in page
    assert "<td><bdi>–</bdi></td>" in page


def test_a_finished_figure_is_written_unchanged(tmp_path: Path) -> None:
    figure = new_figure(2, 1)
    _line(figure.subplots())
    section = PageSection("One", (), (PageFigure("one", figure, "caption", "alt"),))
    write_report(tmp_path, ComparisonReport("t", "c", {}, (section,), {}))
    assert imread(tmp_path / "one.png").shape[:2] == (150, 300)


def test_a_failed_report_keeps_the_previous_one(tmp_path: Path) -> None:
    def fail(axes: Axes) -> None:
        raise RuntimeError

    before = write_report(tmp_path, _report()).read_bytes()
    section = PageSection("One", (), (PageFigure("course", fail, "", ""),))
    with pytest.raises(RuntimeError):
        write_report(tmp_path, ComparisonReport("t", "c", {}, (section,), {}))
    assert (tmp_path / "report.html").read_bytes() == before
    assert {file.name for file in tmp_path.iterdir()} == {"report.html", "course.png", "raw.json"}


def test_two_figures_with_the_same_name_raise(tmp_path: Path) -> None:
    section = _report().sections[0]
    with pytest.raises(ValueError, match="same name"):
        write_report(tmp_path, ComparisonReport("t", "c", {}, (section, section), {}))


def test_a_file_at_the_path_of_the_folder_raises(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("")
    with pytest.raises(DataFileError, match="taken"):
        write_report(tmp_path / "taken", _report())


def test_without_matplotlib_a_report_names_the_extra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(style, "find_spec", lambda name: None)
    with pytest.raises(MissingExtra, match="plots"):
        write_report(tmp_path, _report())
