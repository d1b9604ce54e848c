"""What all views have in common: a page that is saved to a file, or shown in a notebook."""

from abc import ABC, abstractmethod
from functools import cached_property
from os import PathLike
from pathlib import Path

from bothways.errors import InputError
from bothways.io.atomic import atomic_file
from bothways.pages import Page, iframe, render

__all__ = ["PageView", "check_page_name"]

FRAME_HEIGHT = 900
"""Height of the page in a notebook, in pixels."""


class PageView(ABC):
    """A view that has a page."""

    @abstractmethod
    def page(self) -> Page:
        """The page, before it is written."""

    @cached_property
    def html(self) -> str:
        """The page as HTML."""
        return render(self.page())

    def save(self, path: str | PathLike[str]) -> Path:
        """Write the page; return its path. An existing file is replaced.

        Raises:
            InputError: if the name does not end in .html or .htm.
            DataFileError: if the file cannot be written.
        """
        path = Path(path)
        check_page_name(path)
        html = self.html
        with atomic_file(path) as hidden:
            hidden.write_text(html, encoding="utf-8")
        return path

    def _repr_html_(self) -> str:
        return iframe(self.page(), height=FRAME_HEIGHT)


def check_page_name(path: Path) -> None:
    """Check that a page gets a name by which a browser opens it.

    Raises:
        InputError: if it does not.
    """
    if path.suffix.lower() not in (".html", ".htm"):
        raise InputError(f"{path}: the page is HTML; choose a name that ends in .html")
