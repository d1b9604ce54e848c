"""The content security policy of pages: what a browser may run and fetch.

A second line of defense behind escaping: whatever text reaches a page, the browser runs and applies
only the script and the style that the page was written with, and fetches nothing.
"""

import base64
import hashlib

__all__ = ["content_hash", "content_policy"]


def content_policy(*, style: str, script: str = "", connect: str = "") -> str:
    """The policy of a page with this inline style and script.

    connect: the sources that the script may fetch from, for a page of a server; "" for none.
    """
    directives = {
        "default-src": "'none'",
        "script-src": content_hash(script) if script else "",
        "style-src": content_hash(style),
        "img-src": "data:",
        "connect-src": connect,
        "base-uri": "'none'",
        "form-action": "'none'",
    }
    return "; ".join(f"{name} {value}" for name, value in directives.items() if value)


def content_hash(text: str) -> str:
    """The source expression that allows an inline element with exactly this content."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
