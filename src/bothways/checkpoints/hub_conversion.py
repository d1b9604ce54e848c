"""Hub models whose weights are only in torch's format: converted once, into bothways' cache.

A pickle is read by the loader of `torch_files`, which runs none of its code. Everything else of the
model is linked, or copied where the file system does not link.
"""

import hashlib
import os
import shutil
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

from bothways.checkpoints.cache import FileRecord, Slot
from bothways.checkpoints.routes import read_router
from bothways.checkpoints.weight_files import inside, read_weights, write_safetensors
from bothways.errors import CheckpointError, SourceError
from bothways.io.json_files import has_file, read_json

__all__ = ["convert", "converted", "folders_without_safetensors", "has_pickles", "pickled_patterns"]

_PREFIX = "pytorch_model"
_PICKLED = f"{_PREFIX}*.bin"
_WITHOUT_WEIGHTS = (
    "Pooling", "Normalize", "SpladePooling", "Dropout", "LogitScore", "MultiVectorMask",
)  # fmt: skip
_ROUTERS = ("Router", "Asym")


def folders_without_safetensors(snapshot: Path) -> list[Path]:
    """The folders of a model's modules, or its only folder, that need weights and have none yet."""
    folders = list(_module_folders(snapshot)) or [snapshot]
    return [path for path in dict.fromkeys(folders) if not any(path.glob("*.safetensors"))]


def has_pickles(folder: Path) -> bool:
    """Whether a folder has weights in torch's format."""
    return any(folder.glob(_PICKLED))


def pickled_patterns(snapshot: Path, folders: list[Path]) -> list[str]:
    """What to download so that these folders have weights."""
    return [(path / _PICKLED).relative_to(snapshot).as_posix() for path in folders]


def converted(snapshot: Path, repository: str, *, rehash: bool = False) -> Path | None:
    """The converted model of a snapshot in the cache; None if there is none.

    rehash: whether to compare the contents of its files too.
    """
    return _slot(snapshot, repository).find(None, rehash=rehash)


def convert(snapshot: Path, repository: str, folders: list[Path], *, rehash: bool = False) -> Path:
    """Convert the weights of these folders of a snapshot; return the folder in the cache.

    rehash: as in `converted`, where another process was faster.

    Raises:
        SourceError: if a file is damaged, or is no pickle of tensors.
        MissingExtra: if torch is not installed.
    """
    slot = _slot(snapshot, repository)
    with slot.lock():
        if cached := slot.find(None, rehash=rehash):  # another process was faster
            return cached
        with slot.scratch_folder() as scratch:
            model = scratch / "model"
            try:
                files = write_converted(snapshot, folders, model)
            except CheckpointError as error:
                raise SourceError(f"hf:{repository}: {error}") from error
            return slot.store(model, files)


def write_converted(snapshot: Path, folders: list[Path], out: Path) -> dict[str, FileRecord]:
    """Write a snapshot with the weights of these folders in safetensors; the record of each file.

    Raises:
        CheckpointError: if weights are damaged, or no pickle of tensors.
        MissingExtra: if torch is not installed.
    """
    files = {}
    for path in sorted(snapshot.rglob("*")):
        name = path.relative_to(snapshot)
        if path.is_file() and not (path.parent in folders and path.name.startswith(_PREFIX)):
            (out / name).parent.mkdir(parents=True, exist_ok=True)
            _link(path.resolve(), out / name)
            files[name.as_posix()] = _record(out / name)
    for folder in folders:
        name = folder.relative_to(snapshot) / "model.safetensors"
        (out / name).parent.mkdir(parents=True, exist_ok=True)
        write_safetensors(out / name, read_weights(folder).arrays)
        files[name.as_posix()] = _record(out / name)
    return files


def _slot(snapshot: Path, repository: str) -> Slot:
    source = f"hf:{repository}@{snapshot.name} in safetensors"
    return Slot(source, label=f"{repository}-{snapshot.name[:12]}")


def _module_folders(snapshot: Path) -> Iterator[Path]:
    file = snapshot / "modules.json"
    try:
        entries = read_json(file) if has_file(file) else []
        for entry in entries if isinstance(entries, list) else []:
            path, kind = (entry.get(name) for name in ("path", "type"))
            modules = [(str(kind), inside(snapshot, path, file))] if isinstance(path, str) else []
            if modules and _class_name(str(kind)) in _ROUTERS:
                modules = list(chain(*read_router(modules[0][1]).modules.values()))
            yield from (at for name, at in modules if _class_name(name) not in _WITHOUT_WEIGHTS)
    except (CheckpointError, AttributeError):  # reading the model reports it
        return


def _class_name(kind: str) -> str:
    return kind.rpartition(".")[2]


def _link(path: Path, out: Path) -> None:
    try:
        os.link(path, out)
    except OSError:
        shutil.copyfile(path, out)


def _record(path: Path) -> FileRecord:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        os.fsync(file.fileno())
    return FileRecord(path.stat().st_size, digest)
