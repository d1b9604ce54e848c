"""Models of the Hugging Face hub, through huggingface_hub: its cache, its offline mode, its log-in.

Only safetensors, JSON and tokenizer files are asked for: no code, and no pickled weights.
"""

import importlib
import threading
import warnings
from pathlib import Path
from typing import Any

from bothways.checkpoints.cache import PullProgress
from bothways.errors import MissingExtra, SourceError

__all__ = ["fetch"]

WANTED = ("*.safetensors", "*.json", "*vocab.txt", "*merges.txt")
UNWANTED = ("checkpoint-*", "onnx/*", "openvino/*")
"""Copies of the model in other formats, or from earlier in its training."""


def fetch(
    repository: str, revision: str | None, offline: bool, progress: PullProgress | None
) -> Path:
    """The folder of `repository` in the hub's cache, fetched as far as it is not there.

    Raises:
        MissingExtra: if huggingface_hub is missing or too old.
        SourceError: if there is no such model or revision, access is denied, the hub cannot be
            reached and the cache has no copy, or there are no safetensors.
    """
    source = f"hf:{repository}" + (f"@{revision}" if revision else "")
    try:
        import httpx2  # of huggingface_hub 2 and later
        from huggingface_hub import errors, snapshot_download
    except ImportError as error:
        raise MissingExtra("hub", f"fetching {source}") from error
    try:
        folder = snapshot_download(
            repository,
            revision=revision,
            allow_patterns=list(WANTED),
            ignore_patterns=list(UNWANTED),
            local_files_only=offline,
            tqdm_class=_bar_class(progress),
        )
    except errors.GatedRepoError as error:
        raise SourceError(
            f"{source}: access to this model is granted on request: ask for it on the model's "
            "page, then log in with `hf auth login` or set HF_TOKEN"
        ) from error
    except errors.RevisionNotFoundError as error:
        raise SourceError(
            f"{source}: the model is there, its revision {revision!r} is not"
        ) from error
    except errors.RepositoryNotFoundError as error:
        raise SourceError(
            f"{source}: the hub has no such model, or it is private: check the name; for a private "
            "one, log in with `hf auth login` or set HF_TOKEN"
        ) from error
    except errors.HFValidationError as error:
        raise SourceError(f"{source}: not a name the hub could have: {error}") from error
    except errors.LocalEntryNotFoundError as error:
        raise SourceError(f"{source}: {_not_cached(error, offline)}") from error
    except (httpx2.HTTPError, OSError) as error:
        raise SourceError(
            f"{source}: could not be fetched from the hub: {_first_line(error)}"
        ) from error
    _check(Path(folder), repository, revision, source)
    return Path(folder)


def _not_cached(error: Exception, offline: bool) -> str:
    cause = error.__cause__
    if offline or type(cause).__name__ == "OfflineModeIsEnabled":
        return (
            "not, or not wholly, in the hub's cache, and BOTHWAYS_OFFLINE or HF_HUB_OFFLINE "
            "forbids fetching it; fetch it once with `bothways pull` while online"
        )
    return (
        f"could not be fetched from the hub ({_first_line(cause or error)}), and the hub's cache "
        "has no whole copy; check the network"
    )


def _first_line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def _check(folder: Path, repository: str, revision: str | None, source: str) -> None:
    if not any(folder.glob("*.safetensors")) and not any(folder.glob("0_*/*.safetensors")):
        raise SourceError(
            f"{source}: the model has no safetensors, and bothways takes no other weights from the "
            "hub; if you trust its pickled weights, download them yourself and load the folder"
        )
    if not (folder / "modules.json").exists() and not _is_known_whole(repository, revision):
        warnings.warn(
            f"{source}: used from the hub's cache, which does not say whether the model has more "
            "files than these; a sentence-transformers model without its modules.json would be "
            "pooled by plain mean. `bothways pull` while online settles it",
            stacklevel=7,  # the caller of bothways.load
        )


def _is_known_whole(repository: str, revision: str | None) -> bool:
    """Whether the hub's cache knows all files of the model, or that it has no modules.json."""
    from huggingface_hub import get_cached_repo_tree, try_to_load_from_cache
    from huggingface_hub.errors import CachedRepoTreeNotFoundError

    try:
        get_cached_repo_tree(repository, revision=revision)
    except CachedRepoTreeNotFoundError:
        # A path, None for "unknown", or an object that stands for "known not to exist".
        return try_to_load_from_cache(repository, "modules.json", revision=revision) is not None
    return True


def _bar_class(progress: PullProgress | None) -> type[Any]:
    """A progress bar that draws nothing, and hands the bytes of all files to `progress`."""
    tqdm: Any = importlib.import_module("huggingface_hub.utils").tqdm  # which has no types
    lock = threading.Lock()
    bars: list[Any] = []

    class Bar(tqdm):  # type: ignore[misc]
        def __init__(self, *args: Any, unit: str = "it", **settings: Any) -> None:
            settings["disable"] = True
            super().__init__(*args, unit=unit, **settings)
            if unit == "B":  # the others count files
                bars.append(self)

        def update(self, n: float | None = 1) -> None:
            with lock:
                self.n += n or 0
                if progress is not None and self in bars:
                    total = max(int(bar.total or 0) for bar in bars)
                    progress(max(int(bar.n) for bar in bars), total or None)

    return Bar
