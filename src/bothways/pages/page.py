"""One page as one HTML file: style, scripts, images and data inline."""

import base64
import dataclasses
import gzip
import json
from collections.abc import Iterator, Mapping, Sequence
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Any, Literal

from bothways.io.printable import escape_in_json
from bothways.pages.elements import Markup, escape, heading
from bothways.pages.modules import join_modules
from bothways.pages.policy import content_policy

__all__ = ["Page", "iframe", "render"]

Layout = Literal["text", "wide"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Page:
    """A page before it is written.

    title: plain text; also the heading of the page. body: its elements, in order.
    scripts: JavaScript modules, which run in this order after those that they import.
    styles: stylesheets, after the one that all pages have.
    data: JSON values that the scripts read, by name. binary: bytes that they read, by name.
    layout: `text` for a column of a comfortable width, `wide` for the width of the window.
    """

    title: str
    body: Sequence[Markup]
    scripts: tuple[Traversable, ...] = ()
    styles: tuple[Traversable, ...] = ()
    data: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    binary: Mapping[str, bytes] = dataclasses.field(default_factory=dict)
    layout: Layout = "text"


def render(page: Page) -> str:
    """The page as HTML."""
    return "\n".join(_lines(page)) + "\n"


def iframe(page: Page, *, height: int) -> str:
    """The page as an element for notebooks: isolated from the notebook, its scripts included.

    height: of the frame, in pixels.
    """
    # srcdoc is an attribute: a browser reads the page after it undid this escape.
    document = render(page).replace("&", "&amp;").replace('"', "&quot;")
    return (
        f'<iframe sandbox="allow-scripts allow-downloads" title="{escape(page.title)}" '
        f'style="width: 100%; height: {height}px; border: 0" srcdoc="{document}"></iframe>'
    )


def _lines(page: Page) -> Iterator[str]:
    style = _style(page)
    script = join_modules(*page.scripts) if page.scripts else ""
    yield "<!doctype html>"
    yield '<html lang="en">'
    yield "<head>"
    yield '<meta charset="utf-8">'
    policy = content_policy(style=style, script=script)
    yield f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
    yield '<meta name="viewport" content="width=device-width, initial-scale=1">'
    yield f"<title>{escape(page.title)}</title>"
    yield f"<style>{style}</style>"
    yield "</head>"
    yield f'<body class="{page.layout}">'
    yield "<main>"
    yield heading(page.title, 1)
    yield from page.body
    yield "</main>"
    for name, value in page.data.items():
        yield f'<script type="application/json" id="{escape(name)}">{_json(value)}</script>'
    for name, content in page.binary.items():
        packed = base64.b64encode(gzip.compress(content, mtime=0)).decode()
        yield f'<script type="application/gzip;base64" id="{escape(name)}">{packed}</script>'
    if script:
        yield f'<script type="module">{script}</script>'
    yield "</body>"
    yield "</html>"


def _style(page: Page) -> str:
    sheets = (files("bothways.pages").joinpath("assets/page.css"), *page.styles)
    return "".join(sheet.read_text(encoding="utf-8") for sheet in sheets)


def _json(value: Any) -> str:
    """The value as JSON that contains no markup, whatever its texts are."""
    document = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return escape_in_json(document).replace("<", "\\u003c")
