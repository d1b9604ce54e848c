"""Weights on disk: safetensors in one file or in shards, and torch's format by `torch_files`.

The safetensors library checks a file before it is read: the size of its header, and that weights
do not overlap and fill the file exactly. A false size therefore allocates nothing. Arrays are views
of the memory-mapped file if possible.
"""

import dataclasses
import json
import mmap
from collections.abc import Collection, Mapping
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

import numpy as np

from bothways.checkpoints.wrong_folders import other_weights
from bothways.errors import CheckpointError
from bothways.io.json_files import brief, has_file, read_object
from bothways.io.wrong_content import wrong_content

__all__ = [
    "StoredTensor",
    "StoredWeights",
    "find_weights",
    "inside",
    "list_contents",
    "read_safetensors",
    "read_weights",
    "write_safetensors",
]

_WHOLE = ("model.safetensors", "pytorch_model.bin")
_INDEX = "{}.index.json"

_STORED = {
    "F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "<u2",
    "I64": "<i8", "I32": "<i4", "I16": "<i2", "I8": "i1",
    "U64": "<u8", "U32": "<u4", "U16": "<u2", "U8": "u1", "BOOL": "?",
}  # fmt: skip


class StoredWeights(NamedTuple):
    """The weights of a folder.

    arrays: weights by their names in the files; floating point in float32. source: the file to name
    in messages. file_of: the file of each weight.
    """

    arrays: dict[str, np.ndarray]
    source: Path
    file_of: Mapping[str, Path]

    def replacing(self, changed: Mapping[str, np.ndarray]) -> "StoredWeights":
        """These weights with others in the place of some, which are then in no file."""
        file_of = {name: file for name, file in self.file_of.items() if name not in changed}
        return StoredWeights({**self.arrays, **changed}, self.source, file_of)


@dataclasses.dataclass(frozen=True)
class StoredTensor:
    """The location of a weight on disk.

    file, key: the file, and the name of the tensor in it. part, num_parts: for fused matrices, the
    index and number of equal parts along the rows of the tensor.
    """

    file: Path
    key: str
    part: int = 0
    num_parts: int = 1

    def read(self) -> np.ndarray:
        """Read the weight into new memory; nothing else of a safetensors file is read.

        Raises:
            CheckpointError: if the file or the tensor is missing or malformed.
        """
        arrays = _read_one(self.file, (self.key,))
        if self.key not in arrays:
            raise CheckpointError(f"{self.file}: weight {brief(self.key)} is missing")
        array = arrays[self.key]
        if not array.ndim or array.shape[0] % self.num_parts:
            raise CheckpointError(
                f"{self.file}: weight {brief(self.key)} has shape {array.shape}; "
                f"expected {self.num_parts} equal parts along its rows"
            )
        return np.split(array, self.num_parts)[self.part].copy()


def find_weights(folder: Path) -> list[Path]:
    """The weight files of a folder: one file, or an index and its shards; safetensors before .bin.

    Returns an empty list if the folder has no weights.

    Raises:
        CheckpointError: if an index is malformed, or a shard is missing.
    """
    for name in _WHOLE:
        if has_file(folder / name):
            return [folder / name]
        index = folder / _INDEX.format(name)
        if has_file(index):
            return [index, *_shards(index)]
    return []


def read_weights(folder: Path, num_weights: int | None = None) -> StoredWeights:
    """Read the weights of a folder, from one file or from shards.

    num_weights: the numbers that the config describes, which bound the size of files in torch's
        format. Files of safetensors need no bound: they are mapped, not read.

    Raises:
        CheckpointError: if there are no weights, or a file is malformed, missing, much larger than
            its config describes, or contradicts the index.
        MissingExtra: if the weights are in torch's format and torch is not installed.
    """
    files = find_weights(folder)
    if not files:
        candidates = ", ".join([*_WHOLE, *(_INDEX.format(name) for name in _WHOLE)])
        raise CheckpointError(
            f"{folder}: no weights: {other_weights(folder)}looked for {candidates}; "
            f"{list_contents(folder)}"
        )
    first, *shards = files
    if num_weights is not None:
        _check_size([path for path in files if path.suffix == ".bin"], num_weights)
    if not shards:
        arrays = _read_one(first)
        return StoredWeights(arrays, first, dict.fromkeys(arrays, first))
    weights: dict[str, np.ndarray] = {}
    shard_of = _weight_map(first)
    for shard in shards:
        arrays = _read_one(shard)
        for key in arrays:
            if shard_of.get(key) != shard.name:
                raise CheckpointError(
                    f"{shard}: weight {brief(key)}: {first.name} says it is in "
                    f"{shard_of.get(key, 'no shard')}"
                )
        weights |= arrays
    for key, name in shard_of.items():
        if key not in weights:
            raise CheckpointError(f"{first}: weight {brief(key)} is not in {name}")
    return StoredWeights(weights, first, {key: first.parent / shard_of[key] for key in weights})


def read_safetensors(path: Path, keys: Collection[str] | None = None) -> dict[str, np.ndarray]:
    """Read arrays of a safetensors file; floating-point arrays become float32.

    keys: the arrays to read, if the file has them; None for all.

    Raises:
        CheckpointError: if the file is malformed, or has a type other than F64, F32, F16, BF16 and
            integers.
    """
    # Imported here, because loading its shared library would slow down `import bothways`.
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy"):
            pass
        with path.open("rb") as file:
            # Copy-on-write: torch warns about read-only arrays.
            data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)
    except SafetensorError as error:
        what = wrong_content(_first_bytes(path)) or f"not a valid safetensors file: {error}"
        raise CheckpointError(f"{path}: {what}") from None
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be read: {error.strerror or error}") from error
    start = 8 + int.from_bytes(data[:8], "little")
    header = json.loads(data[8:start])
    return {
        key: _array(data, start, entry, f"{path}: weight {brief(key)}")
        for key, entry in header.items()
        if key != "__metadata__" and (keys is None or key in keys)
    }


def write_safetensors(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Write arrays as float32, with the metadata that transformers requires."""
    from safetensors.numpy import save_file

    contiguous = {
        name: np.ascontiguousarray(arrays[name], dtype=np.float32) for name in sorted(arrays)
    }
    path.touch()
    mode = path.stat().st_mode  # follows the umask; the library creates private files
    save_file(contiguous, path, metadata={"format": "pt"})
    path.chmod(mode)


def list_contents(folder: Path) -> str:
    """The names in a folder, for the message about a missing file."""
    if not folder.is_dir():
        return "the folder does not exist"
    names = sorted(path.name for path in folder.iterdir())
    shown = ", ".join(names[:20]) + (f" and {len(names) - 20} more" if len(names) > 20 else "")
    return f"the folder contains {shown or 'nothing'}"


def inside(folder: Path, relative: str, file: Path) -> Path:
    """The path of `relative` inside `folder`; `file` is the file that contains `relative`.

    Raises:
        CheckpointError: if the path could leave the folder.
    """
    parts = PurePosixPath(relative).parts
    if relative.startswith("/") or ".." in parts or any(c in relative for c in "\\:\0"):
        raise CheckpointError(f"{file}: path {brief(relative)} leaves the folder; refused")
    return folder.joinpath(*parts)


def _check_size(files: list[Path], num_weights: int) -> None:
    """Refuse files in torch's format that hold far more than the weights of the config.

    The bound is for weights in float64, as many numbers again for heads, and 64 MiB.
    """
    limit = 2 * 8 * num_weights + (64 << 20)
    size = sum(path.stat().st_size for path in files)
    if size > limit:
        raise CheckpointError(
            f"{files[0]}: {size:,} bytes of weights in all, and the config describes "
            f"{num_weights:,} numbers, which take {4 * num_weights:,} bytes; refused"
        )


def _first_bytes(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(1024)


def _read_one(path: Path, keys: Collection[str] | None = None) -> dict[str, np.ndarray]:
    if path.suffix == ".safetensors":
        return read_safetensors(path, keys)
    from bothways.checkpoints.torch_files import read_torch

    return read_torch(path)


def _shards(index: Path) -> list[Path]:
    suffix = Path(index.name.removesuffix(".index.json")).suffix
    shards = []
    for name in sorted(set(_weight_map(index).values())):
        shard = inside(index.parent, name, index)
        if shard.parent != index.parent or shard.suffix != suffix:
            raise CheckpointError(
                f"{index}: shard {brief(name)}: expected a *{suffix} file next to the index"
            )
        if not has_file(shard):
            raise CheckpointError(f"{index}: shard {name} is missing")
        shards.append(shard)
    return shards


def _weight_map(index: Path) -> dict[str, str]:
    weight_map = read_object(index).get("weight_map")
    if not isinstance(weight_map, dict) or not weight_map:
        raise CheckpointError(f"{index}: weight_map: expected an object {{weight: file name}}")
    for key, name in weight_map.items():
        if not isinstance(name, str) or not name:
            raise CheckpointError(f"{index}: weight_map: {brief(key)}: expected a file name")
    return weight_map


def _array(data: mmap.mmap, start: int, entry: Mapping[str, Any], place: str) -> np.ndarray:
    dtype, shape, offset = entry["dtype"], tuple(entry["shape"]), start + entry["data_offsets"][0]
    stored = _STORED.get(dtype)
    if stored is None:
        raise CheckpointError(f"{place} is {dtype}; bothways reads F32, F16, BF16 and F64")
    try:
        array: np.ndarray = np.ndarray(shape, stored, data, offset)
    except ValueError as error:  # more dimensions, or larger empty dimensions, than NumPy supports
        raise CheckpointError(f"{place} has shape {brief(shape)}: {error}") from None
    if dtype == "BF16":  # the upper half of a float32
        return (array.astype(np.uint32) << 16).view(np.float32)
    if dtype not in ("F64", "F16", "F32") or (dtype == "F32" and array.flags.aligned):
        return array
    with np.errstate(over="ignore"):  # overflow gives infinity, which is checked later
        return array.astype(np.float32)
