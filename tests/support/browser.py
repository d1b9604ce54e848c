"""Headless Chromium without a network."""

import shutil
import subprocess
from pathlib import Path

import pytest

__all__ = ["SECONDS", "browser_command", "needs_browser", "run_browser"]

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
SECONDS = 120
"""Timeout for starting the browser and rendering a page on a busy machine."""

needs_browser = pytest.mark.skipif(
    CHROMIUM is None, reason="chromium is not installed (Debian: apt-get install chromium)"
)


def browser_command(folder: Path) -> list[str]:
    """The command of a browser whose proxy does not exist: it reaches only this machine.

    folder: for its profile.
    """
    assert CHROMIUM is not None
    return [
        CHROMIUM,
        "--headless",
        "--no-sandbox",  # not allowed for root
        "--disable-gpu",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--proxy-server=127.0.0.1:9",
        f"--user-data-dir={folder / 'profile'}",
    ]


def run_browser(url: str, folder: Path, *options: str) -> str:
    """The output of the browser, without a network."""
    process = subprocess.run(
        [*browser_command(folder), *options, url],
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=True,
    )
    return process.stdout
