"""Models of the Hugging Face hub, with the cache, offline mode and login of huggingface_hub.

Only weights, JSON and tokenizer files are downloaded: no code. Pickled weights are downloaded where
there are no safetensors, and converted by `hub_conversion`.
"""

import contextlib
import importlib
import sys
import threading
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bothways.checkpoints import hub_conversion
from bothways.checkpoints.cache import PullProgress
from bothways.errors import MissingExtra, SourceError

__all__ = ["fetch"]

ALLOW_PATTERNS = ("*.safetensors", "*.json", "*vocab.txt", "*merges.txt", "*bpe.codes", "*.model")
IGNORE_PATTERNS = ("checkpoint-*", "onnx/*", "openvino/*")
"""Copies of the model in other formats, and training checkpoints."""


def fetch(
    repository: str,
    revision: str | None,
    offline: bool,
    progress: PullProgress | None,
    *,
    rehash: bool = False,
) -> Path:
    """Download the missing files of a model; return its folder in the cache.

    rehash: whether to compare the contents of converted weights with those that were written.

    Raises:
        MissingExtra: if huggingface_hub is missing or too old.
        SourceError: if the model or revision does not exist, access is denied, the hub cannot be
            reached and the cache has no copy, or the model has no weights.
    """
    source = f"hf:{repository}" + (f"@{revision}" if revision else "")
    folder = _download(source, ALLOW_PATTERNS, revision, offline, progress)
    if not offline:
        _record_modules(folder, repository, revision)
    lacking = hub_conversion.folders_without_safetensors(folder)
    if lacking and (cached := hub_conversion.converted(folder, repository, rehash=rehash)):
        _warn_if_incomplete(folder, repository, revision, source)
        return cached
    if lacking:
        patterns = hub_conversion.pickled_patterns(folder, lacking)
        _download(source, patterns, folder.name, offline, progress)
    pickled = [path for path in lacking if hub_conversion.has_pickles(path)]
    if not pickled and not any(folder.rglob("*.safetensors")):
        raise SourceError(
            f"{source}: the model has no weights, neither safetensors nor pytorch_model.bin"
        )
    _warn_if_incomplete(folder, repository, revision, source)
    if not pickled:
        return folder
    return hub_conversion.convert(folder, repository, pickled, rehash=rehash)


def _download(
    source: str,
    patterns: Sequence[str],
    revision: str | None,
    offline: bool,
    progress: PullProgress | None,
) -> Path:
    """The folder of a model in the hub's cache, with the files of these patterns."""
    repository = source.removeprefix("hf:").partition("@")[0]
    try:
        from huggingface_hub import errors, snapshot_download
    except ImportError as error:
        raise MissingExtra("hub", f"downloading {source}") from error
    try:
        folder = snapshot_download(
            repository,
            revision=revision,
            allow_patterns=list(patterns),
            ignore_patterns=list(IGNORE_PATTERNS),
            local_files_only=offline,
            tqdm_class=_bar_class(progress),
        )
    except errors.GatedRepoError as error:
        raise SourceError(
            f"{source}: access to this model must be requested: request it on the model's page, "
            "then log in with `hf auth login` or set HF_TOKEN"
        ) from error
    except errors.RevisionNotFoundError as error:
        raise SourceError(
            f"{source}: the model exists, but has no revision {revision!r}"
        ) from error
    except errors.RepositoryNotFoundError as error:
        raise SourceError(
            f"{source}: the hub has no such model, or it is private: check the name; for a private "
            "model, log in with `hf auth login` or set HF_TOKEN"
        ) from error
    except errors.HFValidationError as error:
        raise SourceError(f"{source}: not a valid name of a model: {error}") from error
    except errors.LocalEntryNotFoundError as error:
        raise SourceError(f"{source}: {_not_cached(error, offline)}") from error
    except _network_errors() as error:
        raise SourceError(
            f"{source}: could not be downloaded from the hub: {_first_line(error)}"
        ) from error
    return Path(folder)


def _network_errors() -> tuple[type[Exception], ...]:
    """The errors of the HTTP library of huggingface_hub: httpx2 since 2.0, httpx since 1.0.

    Before, it was requests, whose errors are OSErrors.
    """
    modules = (sys.modules.get(name) for name in ("httpx2", "httpx"))
    return (OSError, *(module.HTTPError for module in modules if module is not None))


def _record_modules(folder: Path, repository: str, revision: str | None) -> None:
    """Record in the cache whether the model has a modules.json, for versions that keep no tree.

    A failing request for a file that does not exist leaves a record, which `_is_complete` reads.
    """
    import huggingface_hub

    if _keeps_tree() or (folder / "modules.json").exists():
        return
    if _lacks_modules(repository, revision):
        return
    with contextlib.suppress(*_network_errors()):
        huggingface_hub.hf_hub_download(repository, "modules.json", revision=revision)


def _not_cached(error: Exception, offline: bool) -> str:
    cause = error.__cause__
    if offline or type(cause).__name__ == "OfflineModeIsEnabled":
        return (
            "missing or incomplete in the hub's cache, and BOTHWAYS_OFFLINE or HF_HUB_OFFLINE "
            "forbids downloading it; run `bothways pull` while online"
        )
    return (
        f"could not be downloaded from the hub ({_first_line(cause or error)}), and the hub's "
        "cache has no complete copy; check the network"
    )


def _first_line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def _warn_if_incomplete(folder: Path, repository: str, revision: str | None, source: str) -> None:
    if not (folder / "modules.json").exists() and not _is_complete(repository, revision):
        warnings.warn(
            f"{source}: loaded from the hub's cache, which may be incomplete; without its "
            "modules.json, a sentence-transformers model would use plain mean pooling. Run "
            "`bothways pull` while online to complete it",
            stacklevel=7,  # the caller of bothways.load
        )


def _is_complete(repository: str, revision: str | None) -> bool:
    """Whether the cache lists all files of the model, or records that modules.json is missing."""
    if not _keeps_tree():
        return _lacks_modules(repository, revision)
    from huggingface_hub import get_cached_repo_tree
    from huggingface_hub.errors import CachedRepoTreeNotFoundError

    try:
        get_cached_repo_tree(repository, revision=revision)
    except CachedRepoTreeNotFoundError:
        return _lacks_modules(repository, revision)
    return True


def _keeps_tree() -> bool:
    """Whether the cache keeps the list of a model's files: since huggingface_hub 2.0."""
    import huggingface_hub

    return hasattr(huggingface_hub, "get_cached_repo_tree")


def _lacks_modules(repository: str, revision: str | None) -> bool:
    """Whether the cache records that the model has no modules.json."""
    from huggingface_hub import try_to_load_from_cache

    # A path, None for "unknown", or a sentinel for "does not exist".
    return try_to_load_from_cache(repository, "modules.json", revision=revision) is not None


def _bar_class(progress: PullProgress | None) -> type[Any]:
    """A tqdm class that draws nothing, and reports the bytes of all files to `progress`."""
    tqdm: Any = importlib.import_module("huggingface_hub.utils").tqdm  # untyped
    lock = threading.Lock()
    bars: list[Any] = []

    class Bar(tqdm):  # type: ignore[misc]
        def __init__(self, *args: Any, unit: str = "it", **settings: Any) -> None:
            settings["disable"] = True
            super().__init__(*args, unit=unit, **settings)
            if unit == "B":  # other bars count files
                bars.append(self)

        def update(self, n: float | None = 1) -> None:
            with lock:
                self.n += n or 0
                if progress is not None and self in bars:
                    total = max(int(bar.total or 0) for bar in bars)
                    progress(max(int(bar.n) for bar in bars), total or None)

    return Bar
