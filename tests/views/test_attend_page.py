"""The page of attention in headless Chromium, opened from disk without a network."""

import dataclasses
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from tests.support.accessibility import find_barriers
from tests.support.browser import needs_browser
from tests.support.browser_session import BrowserPage, open_page
from tests.support.models import TEXT, write_model

import bothways
from bothways import AttentionView, Encoder, EncoderConfig, Series
from bothways.sequences import SeriesReader
from bothways.views.attend.encoding import decode_roots, to_roots

pytestmark = needs_browser

HOSTILE = '<img src=x onerror="document.title=1"> </script> bank \u202e loan'


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BrowserPage]:
    with open_page(tmp_path_factory.mktemp("browser")) as opened:
        yield opened


@pytest.fixture(scope="module")
def view(with_heads: Encoder) -> AttentionView:
    return with_heads.attend(["a river [MASK]", "the loan"], names=["first", HOSTILE])


def show(page: BrowserPage, view: AttentionView, folder: Path, fragment: str = "") -> None:
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


def test_the_table_shows_the_numbers_of_attention(
    page: BrowserPage, view: AttentionView, with_heads: Encoder, tmp_path: Path
) -> None:
    show(page, view, tmp_path, "map=3&token=2")
    assert text_of(page, "map-title") == "Layer 2, head 2"
    rows = page.evaluate(
        "[...document.querySelectorAll('#row tbody tr')].map((row) => "
        "[...row.children].map((cell) => cell.textContent))"
    )
    expected = decode_roots(to_roots(with_heads.attention("a river [MASK]").probabilities))[1, 1, 2]
    shown = {int(position): float(value) for _, position, value, _ in rows}
    assert shown == {
        position: pytest.approx(value, abs=6e-4)
        for position, value in enumerate(expected)
        if value > 0
    }


def test_hostile_texts_and_names_are_shown_as_texts(
    page: BrowserPage, plain: Encoder, tmp_path: Path
) -> None:
    text = "<img src=x> \u202e bank"
    view = plain.attend(text, to="</script>", names=[HOSTILE], on_unknown="ignore")
    show(page, view, tmp_path)
    assert page.evaluate("document.images.length") == 0
    assert page.evaluate("document.title") == "Attention"
    assert "<img src=x> \\u202e bank" in text_of(page, "tokens")
    assert HOSTILE[:20] in text_of(page, "sequence")


def test_the_keyboard_moves_through_tokens_heads_and_measures(
    page: BrowserPage, view: AttentionView, tmp_path: Path
) -> None:
    show(page, view, tmp_path)
    assert text_of(page, "readout").startswith("Token 1, “a”")
    page.press("ArrowRight")
    assert text_of(page, "readout").startswith("Token 2, “river”")
    page.press("Enter")
    assert page.evaluate("document.querySelectorAll('.token.pinned').length") == 1
    assert page.evaluate("location.hash") == "#token=2"
    page.press("]")
    assert text_of(page, "map-title") == "Layer 2, head 1"
    page.press(".")
    assert text_of(page, "map-title") == "Layer 2, head 2"
    page.press("s")
    assert page.evaluate("document.querySelectorAll('#tokens .added').length") == 0
    assert "rows sum to 1 without them" in text_of(page, "explanation")
    page.press("m")
    assert "Kobayashi" in text_of(page, "explanation")
    page.press("Escape")
    assert page.evaluate("document.querySelectorAll('.token.pinned').length") == 0
    assert page.errors == []


def test_pointing_and_clicking_show_a_token(
    page: BrowserPage, view: AttentionView, tmp_path: Path
) -> None:
    show(page, view, tmp_path)
    page.evaluate("document.getElementById('token-2').dispatchEvent(new Event('pointerenter'))")
    assert text_of(page, "row-title") == "“river” attends to"
    page.evaluate("document.getElementById('token-2').click()")
    page.evaluate("document.getElementById('token-2').dispatchEvent(new Event('pointerleave'))")
    assert text_of(page, "row-title") == "“river” attends to"
    page.evaluate("document.querySelectorAll('#heads button')[2].click()")
    assert text_of(page, "map-title") == "Layer 2, head 1"


def test_predictions_and_effects_are_shown(
    page: BrowserPage, view: AttentionView, tmp_path: Path
) -> None:
    show(page, view, tmp_path)
    first = view[0]
    for prediction in first.predictions:
        assert prediction.name in text_of(page, "predictions")
    assert f"“{first.occlusions[0].name}” is {first.occlusions[0].score:.3f}" in text_of(
        page, "effects-note"
    )
    page.evaluate("document.querySelectorAll('details').forEach((item) => { item.open = true; })")
    effects = re.findall(r"[+−]\d\.\d+", text_of(page, "effects"))
    expected = first.occlusions[0].effects
    assert len(effects) == np.isfinite(expected).sum()


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [360, 1280])
def test_axe_finds_no_barrier(
    page: BrowserPage, with_heads: Encoder, tmp_path: Path, width: int, *, dark: bool
) -> None:
    page.resize(width, 900, dark=dark)
    view = with_heads.attend("a river [MASK]", to="the loan")
    for fragment in ("token=2", "as=arcs&show=mean"):
        show(page, view, tmp_path, fragment)
        assert find_barriers(page) == []


def test_nothing_is_wider_than_a_narrow_window(
    page: BrowserPage, view: AttentionView, tmp_path: Path
) -> None:
    page.resize(360, 800)
    show(page, view, tmp_path)
    assert page.evaluate("document.documentElement.scrollWidth") <= 360


def test_a_series_is_drawn_as_lines(page: BrowserPage, tmp_path: Path) -> None:
    config = EncoderConfig(
        num_layers=1, num_heads=2, d_model=8, d_ff=8, input="vectors", num_channels=2
    )
    folder = bothways.create(tmp_path / "m", config, SeriesReader(Series.as_is(2)))
    values = np.sin(np.arange(40, dtype=np.float64)).reshape(20, 2)
    show(page, bothways.load(folder, backend="reference").attend(values), tmp_path)
    assert page.evaluate("document.querySelectorAll('#series polyline').length") == 2
    assert page.evaluate("document.querySelectorAll('#series rect').length") == 20


def test_a_long_sequence_shows_the_rest_of_each_row(
    page: BrowserPage, make_weights: Callable[..., dict[str, np.ndarray]], tmp_path: Path
) -> None:
    config = dataclasses.replace(TEXT, max_length=200)
    folder = write_model(tmp_path, make_weights(config), config=config)
    encoder = bothways.load(folder, backend="reference")
    show(page, encoder.attend("river bank " * 80, occlude=False), tmp_path)
    assert "all others" in text_of(page, "row")
