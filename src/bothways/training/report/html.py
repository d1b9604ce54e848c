"""The report of a run as a page, from the Markdown that `report.markdown` writes."""

import re
from collections.abc import Iterable, Iterator, Mapping

from bothways.pages import Markup, Page, render
from bothways.pages.elements import code_block, figure, paragraph, section, table
from bothways.training.report.held_out import MarkdownSection

__all__ = ["render_report"]

_ESCAPE = re.compile(r"\\(.)")
_CODE = re.compile(r"(?<!\\)`")
_CELL_END = re.compile(r"(?<!\\)((?:\\\\)*) \|")
_FENCE = re.compile(r"^(`{3,})\w*\n(.*?)\n\1$", re.MULTILINE | re.DOTALL)


def render_report(
    title: str, introduction: str, sections: Iterable[MarkdownSection], images: Mapping[str, str]
) -> str:
    """The page as HTML.

    introduction: a paragraph before the sections, in Markdown; "" for none. images: the `data:` URL
    of each figure by its name; empty for a page without figures.
    """
    body = [*_blocks(introduction), *(_section(content, images) for content in sections)]
    return render(Page(title=_plain(title), body=body))


def _section(content: MarkdownSection, images: Mapping[str, str]) -> Markup:
    figures = [
        figure(images[item.name], alt=item.caption, caption=_sentence(item.caption))
        for item in content.figures
        if item.name in images
    ]
    return section(content.title, [*figures, *_blocks(content.text)])


def _sentence(caption: str) -> str:
    return f"{caption[:1].upper()}{caption[1:]}."


def _blocks(markdown: str) -> Iterator[Markup]:
    """The blocks of a section: code, tables and paragraphs."""
    end = 0
    for fence in _FENCE.finditer(markdown):
        yield from _texts(markdown[end : fence.start()])
        yield code_block(fence[2])
        end = fence.end()
    yield from _texts(markdown[end:])


def _texts(markdown: str) -> Iterator[Markup]:
    for block in filter(None, markdown.strip("\n").split("\n\n")):
        if block.startswith("| "):
            header, _, *rows = map(_cells, block.split("\n"))
            yield table(header, rows)
        else:
            yield paragraph(_plain(block))


def _cells(row: str) -> tuple[str, ...]:
    """The cells of a row of a table, without escapes."""
    *cells, _ = _CELL_END.sub(r"\1\n", row.removeprefix("|")).split("\n")
    return tuple(_plain(cell.removeprefix(" ")) for cell in cells)


def _plain(markdown: str) -> str:
    """The text of Markdown without its escapes and marks of code."""
    return _ESCAPE.sub(r"\1", _CODE.sub("", markdown))
