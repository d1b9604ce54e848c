"""The handler of GET /: a page for a person with a browser, if it is switched on.

The page uses the routes that clients use. It needs no key by itself, as it contains no data.
"""

import re
from importlib.resources import files

from bothways.pages.policy import content_policy
from bothways.server.exchange import Exchange, Reply

__all__ = ["PageHandler"]


class PageHandler:
    """Serves the page, which loads nothing else and runs no script but its own."""

    def __init__(self) -> None:
        page = files("bothways.server").joinpath("page.html").read_text(encoding="utf-8")
        self._page = page.encode()
        self._headers = {
            "Content-Security-Policy": (
                content_policy(
                    style=_content(page, "style"),
                    script=_content(page, "script"),
                    connect="'self'",
                )
                + "; frame-ancestors 'none'"
            ),
            "Cache-Control": "no-store",
            "Referrer-Policy": "no-referrer",
            "X-Content-Type-Options": "nosniff",
        }

    async def page(self, exchange: Exchange) -> Reply:
        """GET /: the page."""
        reply = Reply(self._page, media_type="text/html; charset=utf-8")
        reply.headers.update(self._headers)
        return reply


def _content(page: str, tag: str) -> str:
    """The content of the only element of the page with this tag."""
    match = re.search(f"<{tag}>(.*?)</{tag}>", page, re.DOTALL)
    if match is None:
        raise ValueError(f"the page has no <{tag}>")
    return match[1]
