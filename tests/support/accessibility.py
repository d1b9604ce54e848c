"""What axe-core finds on a page that hinders people with a keyboard or a screen reader."""

from typing import Any

from tests.support.browser_session import BrowserPage
from tests.support.node import package_file

__all__ = ["find_barriers"]


def find_barriers(page: BrowserPage) -> Any:
    """The violations on an open page with its details shown: rules, and elements with reasons."""
    page.evaluate("document.querySelectorAll('details').forEach((item) => { item.open = true; })")
    page.evaluate(package_file("axe-core/axe.min.js").read_text(encoding="utf-8"))
    return page.evaluate(
        "axe.run().then((result) => result.violations.map((violation) => "
        "[violation.id, violation.nodes.map((node) => node.html + node.failureSummary)]))"
    )
