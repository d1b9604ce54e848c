"""The command that adds extras to this installation of bothways, wherever it came from."""

import functools
import json
import os
import shlex
from pathlib import Path
from typing import Any

__all__ = ["install_command"]


@functools.cache
def install_command(*extras: str) -> str:
    """The pip command that installs `extras` from where this bothways came from.

    That is a checkout, a wheel, a repository or an archive, as `direct_url.json` of the installed
    package says (PEP 610); without that file, the checkout that contains this module; otherwise, a
    package index.
    """
    name = f"bothways[{','.join(extras)}]"
    origin = _origin()
    if origin is None:
        return f"pip install {_quoted(name)}"
    if "vcs_info" in origin:
        vcs, commit = origin["vcs_info"]["vcs"], origin["vcs_info"]["commit_id"]
        return f"pip install {_quoted(f'{name} @ {vcs}+' + origin['url'] + f'@{commit}')}"
    path = _local_path(origin["url"])
    if path is None:
        return f"pip install {_quoted(f'{name} @ ' + origin['url'])}"
    editable = "-e " if origin.get("dir_info", {}).get("editable") else ""
    requirement = name.removeprefix("bothways")
    if path.exists():
        return f"pip install {editable}{_quoted(f'{path}{requirement}')}"
    return f"pip install {editable}{_quoted(f'.{requirement}')}, in a checkout of bothways"


def _origin() -> dict[str, Any] | None:
    """The contents of `direct_url.json`; None if the package came from an index."""
    import importlib.metadata

    try:
        text = importlib.metadata.distribution("bothways").read_text("direct_url.json")
    except importlib.metadata.PackageNotFoundError:  # found by PYTHONPATH
        checkout = Path(__file__).resolve().parents[2]
        if not (checkout / "pyproject.toml").exists():
            return None
        return {"url": checkout.as_uri(), "dir_info": {"editable": True}}
    return None if text is None else json.loads(text)


def _local_path(url: str) -> Path | None:
    """The path of a file: URL; None for others."""
    from urllib.parse import urlsplit
    from urllib.request import url2pathname

    parts = urlsplit(url)
    return Path(url2pathname(parts.path)) if parts.scheme == "file" else None


def _quoted(requirement: str) -> str:
    """In quotation marks, as a shell would expand the brackets."""
    return f'"{requirement}"' if os.name == "nt" else shlex.quote(requirement)
