"""Node and the packages from npm that check the scripts of pages.

`make test` installs the packages into build/node, if npm is there.
"""

import shutil
from pathlib import Path

import pytest

__all__ = ["NODE", "needs_node", "package_file"]

NODE = shutil.which("node")
MODULES = Path(__file__).parents[2] / "build" / "node" / "node_modules"

needs_node = pytest.mark.skipif(NODE is None, reason="node is not installed")


def package_file(path: str) -> Path:
    """A file of a package from npm; skips the test without it."""
    file = MODULES / path
    if not file.exists():
        pytest.skip(f"{file} is missing; with npm, `make build/node/stamp` installs it")
    return file
