"""Images inside a page."""

import base64
from pathlib import Path

__all__ = ["data_url"]


def data_url(path: Path) -> str:
    """A PNG file as a `data:` URL."""
    return "data:image/png;base64," + base64.b64encode(path.read_bytes()).decode()
