"""Clients in an environment of their own, against a server that runs in that of bothways.

`make test-clients` runs these tests; elsewhere they are not collected. BOTHWAYS_PYTHON is the
interpreter of the server, and CLIENTS_NODE the folder of the JavaScript clients.
"""

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.support.server_process import ServerProcess

PYTHON = os.environ.get("BOTHWAYS_PYTHON", "")

collect_ignore_glob = [] if PYTHON else ["test_*.py"]


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of models with heads."""
    return tmp_path_factory.mktemp("models")


@pytest.fixture(scope="session")
def offline(models: Path) -> dict[str, Any]:
    """What encoders compute offline."""
    command = [PYTHON, "-m", "tests.clients.offline", str(models)]
    root = Path(__file__).parents[2]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    facts: dict[str, Any] = json.loads(done.stdout)
    return facts


def _serve(*models: object) -> Iterator[str]:
    server = ServerProcess(*map(str, models), "--port", "0", python=PYTHON)
    try:
        server.find("ready: ")
        yield server.address
    finally:
        server.kill()


@pytest.fixture(scope="session")
def minilm(offline: dict[str, Any]) -> Iterator[str]:
    """The address of a server of minilm."""
    yield from _serve("minilm")


@pytest.fixture(scope="session")
def heads(offline: dict[str, Any], models: Path) -> Iterator[str]:
    """The address of a server of a model with heads for classes and masked tokens."""
    yield from _serve(models / "heads/model")


@pytest.fixture(scope="session")
def tagger(offline: dict[str, Any], models: Path) -> Iterator[str]:
    """The address of a server of a model with a head for tags."""
    yield from _serve(models / "tagger/model")
