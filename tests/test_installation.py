"""The command that installs an extra, for each origin of the package."""

import importlib.metadata
import json
from collections.abc import Iterator
from email.message import Message
from pathlib import Path
from typing import Any

import pytest

from bothways import installation
from bothways.errors import MissingExtra
from bothways.installation import install_command

CHECKOUT = Path(__file__).parent.parent


@pytest.fixture(autouse=True)
def _uncached() -> Iterator[None]:
    install_command.cache_clear()
    yield
    install_command.cache_clear()


def installed_from(monkeypatch: pytest.MonkeyPatch, record: dict[str, Any] | None) -> None:
    class Installed(importlib.metadata.Distribution):
        metadata = Message()  # type: ignore[assignment]

        def read_text(self, filename: str) -> str | None:
            return json.dumps(record) if record and filename == "direct_url.json" else None

        def locate_file(self, path: Any) -> Any:
            return path

    monkeypatch.setattr(importlib.metadata, "distribution", lambda name: Installed())


def test_from_an_index(monkeypatch: pytest.MonkeyPatch) -> None:
    installed_from(monkeypatch, None)
    assert install_command("parquet", "hub") == "pip install 'bothways[parquet,hub]'"
    assert str(MissingExtra("torch", "training")) == (
        "training needs an extra: pip install 'bothways[torch]'"
    )


@pytest.mark.parametrize(("editable", "option"), [(True, "-e "), (False, "")])
def test_from_a_checkout(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, editable: bool, option: str
) -> None:
    place = tmp_path / "with space"
    place.mkdir()
    installed_from(monkeypatch, {"url": place.as_uri(), "dir_info": {"editable": editable}})
    assert install_command("parquet") == f"pip install {option}'{place}[parquet]'"


def test_from_a_checkout_that_was_removed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    installed_from(monkeypatch, {"url": (tmp_path / "gone").as_uri(), "dir_info": {}})
    assert install_command("parquet") == "pip install '.[parquet]', in a checkout of bothways"


def test_from_a_repository(monkeypatch: pytest.MonkeyPatch) -> None:
    vcs = {"vcs": "git", "commit_id": "0123abc", "requested_revision": "main"}
    installed_from(monkeypatch, {"url": "https://example.org/b.git", "vcs_info": vcs})
    assert install_command("hub") == (
        "pip install 'bothways[hub] @ git+https://example.org/b.git@0123abc'"
    )


def test_from_an_archive(monkeypatch: pytest.MonkeyPatch) -> None:
    installed_from(monkeypatch, {"url": "https://example.org/b.zip", "archive_info": {}})
    assert install_command("hub") == "pip install 'bothways[hub] @ https://example.org/b.zip'"


def test_on_the_module_path_alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def missing(name: str) -> None:
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "distribution", missing)
    assert install_command("hub") == f"pip install -e '{CHECKOUT}[hub]'"
    install_command.cache_clear()
    monkeypatch.setattr(installation, "__file__", str(tmp_path / "a" / "bothways" / "i.py"))
    assert install_command("hub") == "pip install 'bothways[hub]'"
