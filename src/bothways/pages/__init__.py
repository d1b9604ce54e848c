"""Pages: self-contained HTML files, which open from disk without a network.

`Page` holds a title, elements, data and scripts, and `render` writes them with one stylesheet and
one content security policy. Every text becomes an element through `bothways.pages.elements`, which
escapes it; what a script shows is data, which no browser reads as markup.
"""

from bothways.pages.elements import Markup, escape
from bothways.pages.page import Page, iframe, render

__all__ = ["Markup", "Page", "escape", "iframe", "render"]
