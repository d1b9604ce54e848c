"""The handler of GET /: a page for a person with a browser, if it is switched on.

The page uses the routes that clients use. It needs no key by itself, as it contains no data.
"""

import base64
import hashlib
import re
from importlib.resources import files

from bothways.server.exchange import Exchange, Reply

__all__ = ["PageHandler"]


class PageHandler:
    """Serves the page, which loads nothing else and runs no script but its own."""

    def __init__(self) -> None:
        page = files("bothways.server").joinpath("page.html").read_text(encoding="utf-8")
        self._page = page.encode()
        self._headers = {
            "Content-Security-Policy": (
                f"default-src 'none'; script-src {_source(page, 'script')}; "
                f"style-src {_source(page, 'style')}; img-src data:; connect-src 'self'; "
                "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
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


def _source(page: str, tag: str) -> str:
    """The hash by which a policy allows the content of a tag of the page."""
    match = re.search(f"<{tag}>(.*?)</{tag}>", page, re.DOTALL)
    if match is None:
        raise ValueError(f"the page has no <{tag}>")
    digest = base64.b64encode(hashlib.sha256(match[1].encode()).digest()).decode()
    return f"'sha256-{digest}'"
