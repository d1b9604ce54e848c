"""The page of a map in headless Chromium, opened from disk without a network."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from tests.support.accessibility import find_barriers
from tests.support.browser import needs_browser
from tests.support.browser_session import BrowserPage, open_page
from tests.support.vector_parts import clustered

import bothways
from bothways import VectorMap

pytestmark = needs_browser

HOSTILE = '<img src=x onerror="document.title=1"> </script> \u202e loan'


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BrowserPage]:
    with open_page(tmp_path_factory.mktemp("browser")) as opened:
        yield opened


@pytest.fixture(scope="module")
def view() -> VectorMap:
    rows = 60
    return bothways.map(
        clustered(rows, seed=1),
        ids=[f"id{row}" for row in range(rows)],
        texts=[HOSTILE, *(f"text {row} of the map" for row in range(1, rows))],
        color={"stars": [row % 5 for row in range(rows)], HOSTILE: ["a", "b", None] * 20},
        clusters=3,
        title=HOSTILE,
    )


def show(page: BrowserPage, view: VectorMap, folder: Path, fragment: str = "") -> None:
    """Open the page as it is written; check that it requests nothing else and has no errors."""
    url = view.save(folder / "page.html").as_uri()
    page.requests.clear()
    page.call("Page.navigate", url="about:blank")
    page.open(f"{url}#{fragment}")
    assert set(page.requests) == {url}
    assert page.errors == []


def text_of(page: BrowserPage, element: str) -> str:
    text: str = page.evaluate(f"document.getElementById({element!r}).innerText")
    return text


def mouse(page: BrowserPage, kind: str, x: float, y: float, **parameters: object) -> None:
    page.call(
        "Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1, **parameters
    )


def place_of(page: BrowserPage, view: VectorMap, point: int) -> tuple[float, float]:
    """Where a point is in the window, when all are shown."""
    low, high = view.coordinates.min(axis=0), view.coordinates.max(axis=0)
    left, top, width, height = page.evaluate(
        "(() => { const box = document.getElementById('stage').getBoundingClientRect(); "
        "const stage = document.getElementById('stage'); return [box.left + stage.clientLeft, "
        "box.top + stage.clientTop, stage.clientWidth, stage.clientHeight]; })()"
    )
    scale = min((width - 56) / (high - low)[0], (height - 56) / (high - low)[1])
    x, y = (view.coordinates[point] - (low + high) / 2) * scale
    return float(left + width / 2 + x), float(top + height / 2 - y)


def test_the_numbers_of_the_map_and_of_a_point_are_shown(
    page: BrowserPage, view: VectorMap, tmp_path: Path
) -> None:
    show(page, view, tmp_path, "point=7")
    facts = text_of(page, "facts")
    assert facts.startswith("60 vectors; principal components, with ")
    assert f"keeps {view.kept.mean() * 100:.1f} % of the 15 nearest" in facts
    assert f"trustworthiness {view.trustworthiness:.3f}" in facts
    assert f"{round(view.kept[7] * 15)} of 15" in text_of(page, "point-values")
    rows = page.evaluate(
        "[...document.querySelectorAll('#point-neighbors tbody tr')].map((row) => "
        "[row.children[0].textContent, row.children[1].textContent])"
    )
    assert [name for name, _ in rows] == [
        view.texts[neighbor] if neighbor else rows[at][0]
        for at, neighbor in enumerate(view.neighbors[7, :10])
    ]
    assert [float(cosine.replace("−", "-")) for _, cosine in rows] == pytest.approx(
        view.cosines[7, :10], abs=6e-4
    )


def test_hostile_texts_and_names_are_shown_as_texts(
    page: BrowserPage, view: VectorMap, tmp_path: Path
) -> None:
    show(page, view, tmp_path, "point=0")
    assert page.evaluate("document.images.length") == 0
    assert page.evaluate("document.title").startswith("<img src=x")
    assert text_of(page, "point-text") == HOSTILE.replace("\u202e", "\\u202e")


def test_pointing_clicking_and_the_keyboard(
    page: BrowserPage, view: VectorMap, tmp_path: Path
) -> None:
    page.resize(1280, 900)
    show(page, view, tmp_path)
    far = int(np.argmax(view.coordinates[:, 0]))
    x, y = place_of(page, view, far)
    mouse(page, "mouseMoved", x + 2, y - 2)
    page.wait_for("!document.getElementById('card').hidden")
    assert text_of(page, "card").startswith(f"text {far} of")
    mouse(page, "mousePressed", x, y)
    mouse(page, "mouseReleased", x, y)
    assert text_of(page, "point-text") == f"text {far} of the map"
    page.press("Escape")
    assert page.evaluate("document.getElementById('point-panel').hidden")
    page.press(".")
    page.press(".")
    assert text_of(page, "point-text") == "text 1 of the map"
    page.press("c")
    assert text_of(page, "legend-title") == "stars"
    page.wait_for("location.hash === '#color=1&point=1'")
    assert page.errors == []


def test_a_search_and_a_legend_filter(page: BrowserPage, view: VectorMap, tmp_path: Path) -> None:
    show(page, view, tmp_path, "search=TEXT%205&color=2")
    assert text_of(page, "matches") == "11 matches"
    assert text_of(page, "list-title") == "11 of 60 points"
    page.evaluate("document.querySelector('#legend input').click()")
    assert text_of(page, "list-title") == "8 of 60 points"
    page.evaluate("document.getElementById('show-all').click()")
    assert text_of(page, "list-title") == "11 of 60 points"
    page.evaluate(
        "document.getElementById('pattern').click(), document.getElementById('search').value = '(',"
        "document.getElementById('search').dispatchEvent(new Event('input'))"
    )
    page.wait_for("document.getElementById('search').ariaInvalid === 'true'")
    assert text_of(page, "matches") == "not a regular expression"
    assert text_of(page, "list-title") == "60 points"


def test_a_lasso_chooses_the_points_inside(
    page: BrowserPage, view: VectorMap, tmp_path: Path
) -> None:
    page.resize(1280, 900)
    show(page, view, tmp_path)
    x, y = place_of(page, view, int(np.argmax(view.coordinates[:, 0])))
    corners = [(x - 4, y - 4), (x + 4, y - 4), (x + 4, y + 4), (x - 4, y + 4)]
    mouse(page, "mousePressed", *corners[0], modifiers=8)
    for corner in corners[1:]:
        mouse(page, "mouseMoved", *corner, modifiers=8, buttons=1)
    mouse(page, "mouseReleased", *corners[-1], modifiers=8)
    assert text_of(page, "list-title") == "1 of 60 points"
    page.press("Escape")
    assert text_of(page, "list-title") == "60 points"


def test_a_wheel_zooms_and_dragging_pans(
    page: BrowserPage, view: VectorMap, tmp_path: Path
) -> None:
    page.resize(1280, 900)
    show(page, view, tmp_path)
    mouse(page, "mouseWheel", 400, 500, deltaX=0, deltaY=-400)
    page.wait_for("location.hash.startsWith('#at=')")
    before = page.evaluate("location.hash")
    mouse(page, "mousePressed", 400, 500)
    mouse(page, "mouseMoved", 430, 520, buttons=1)
    mouse(page, "mouseReleased", 430, 520)
    page.wait_for(f"location.hash !== {before!r}")
    assert page.evaluate("document.getElementById('point-panel').hidden")
    page.evaluate("document.getElementById('fit').click()")
    page.wait_for("location.hash === ''")


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [360, 1280])
def test_axe_finds_no_barrier(
    page: BrowserPage, view: VectorMap, tmp_path: Path, width: int, *, dark: bool
) -> None:
    page.resize(width, 900, dark=dark)
    for fragment in ("point=2", "color=1&search=text"):
        show(page, view, tmp_path, fragment)
        assert find_barriers(page) == []


def test_nothing_is_wider_than_a_narrow_window(
    page: BrowserPage, view: VectorMap, tmp_path: Path
) -> None:
    page.resize(360, 800)
    show(page, view, tmp_path, "point=1")
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
