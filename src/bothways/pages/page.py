"""One page as one HTML file: style, scripts, images and data inline."""

import base64
import dataclasses
import gzip
import json
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
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
    data: JSON values, by the name by which scripts read them (`readJson` of base.js). binary: bytes
        (`readBinary`).
    connect: the sources that the scripts may fetch from, for a page of a server; "" for none.
    layout: `text` for a column of a comfortable width, `wide` for the width of the window.
    """

    title: str
    body: Sequence[Markup]
    scripts: tuple[Traversable, ...] = ()
    styles: tuple[Traversable, ...] = ()
    data: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    binary: Mapping[str, bytes] = dataclasses.field(default_factory=dict)
    connect: str = ""
    layout: Layout = "text"

    @cached_property
    def style(self) -> str:
        """All styles."""
        sheets = (files("bothways.pages").joinpath("assets/page.css"), *self.styles)
        return "".join(sheet.read_text(encoding="utf-8") for sheet in sheets)

    @cached_property
    def script(self) -> str:
        """All scripts, joined to one; "" for none."""
        return join_modules(*self.scripts) if self.scripts else ""

    @property
    def policy(self) -> str:
        """The content security policy."""
        return content_policy(style=self.style, script=self.script, connect=self.connect)


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
    yield "<!doctype html>"
    yield '<html lang="en">'
    yield "<head>"
    yield '<meta charset="utf-8">'
    yield f'<meta http-equiv="Content-Security-Policy" content="{page.policy}">'
    yield '<meta name="viewport" content="width=device-width, initial-scale=1">'
    if page.connect:  # a browser would fetch an icon from the server
        yield '<link rel="icon" href="data:,">'
    yield f"<title>{escape(page.title)}</title>"
    yield f"<style>{page.style}</style>"
    yield "</head>"
    yield f'<body class="{page.layout}">'
    yield "<main>"
    yield heading(page.title, 1)
    yield from page.body
    yield "</main>"
    for name, value in page.data.items():
        yield f'<script type="application/json" id="data-{escape(name)}">{_json(value)}</script>'
    for name, content in page.binary.items():
        packed = base64.b64encode(gzip.compress(content, mtime=0)).decode()
        yield f'<script type="application/gzip;base64" id="data-{escape(name)}">{packed}</script>'
    if page.script:
        yield f'<script type="module">{page.script}</script>'
    yield "</body>"
    yield "</html>"


def _json(value: Any) -> str:
    """The value as JSON that contains no markup, whatever its texts are."""
    document = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return escape_in_json(document).replace("<", "\\u003c")
