"""The handler of GET /: a page for a person with a browser, if it is switched on.

The page uses the routes that clients use. It needs no key by itself, as it contains no data.
"""

from importlib.resources import files

from bothways.pages import Markup, Page, render
from bothways.server.exchange import Exchange, Reply

__all__ = ["PageHandler"]


class PageHandler:
    """Serves the page, which loads nothing else and runs no script but its own."""

    def __init__(self) -> None:
        folder = files("bothways.server")
        page = Page(
            title="bothways serve",
            body=[Markup(folder.joinpath("page.html").read_text(encoding="utf-8"))],
            scripts=(folder.joinpath("page.js"),),
            styles=(folder.joinpath("page.css"),),
            connect="'self'",
        )
        self._page = render(page).encode()
        self._headers = {
            "Content-Security-Policy": f"{page.policy}; frame-ancestors 'none'",
            "Cache-Control": "no-store",
            "Referrer-Policy": "no-referrer",
            "X-Content-Type-Options": "nosniff",
        }

    async def page(self, exchange: Exchange) -> Reply:
        """GET /: the page."""
        reply = Reply(self._page, media_type="text/html; charset=utf-8")
        reply.headers.update(self._headers)
        return reply
