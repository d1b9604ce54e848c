"""Weights in torch's format (`pytorch_model.bin`): the zip archive and the older pickle.

Both are pickles, which can run arbitrary code when loaded. torch's `weights_only` loader runs none:
it accepts only tensors and plain containers. This is the only module of `checkpoints` that imports
torch.
"""

import re
import warnings
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from bothways.errors import CheckpointError, MissingExtra
from bothways.io.json_files import MAX_BYTES, brief
from bothways.io.wrong_content import wrong_content

__all__ = ["read_torch"]


def read_torch(path: Path) -> dict[str, np.ndarray]:
    """Read the tensors of a state dict; floating-point tensors become float32.

    Raises:
        MissingExtra: if torch is not installed.
        CheckpointError: if the file is damaged, or is not a state dict of dense tensors.
    """
    try:
        import torch
    except ImportError:
        raise MissingExtra("torch", f"reading {path.name}") from None

    with path.open("rb") as file:
        start = file.read(1024)
    if what := wrong_content(start):
        raise CheckpointError(f"{path}: {what}")
    _check_archive(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about storage types of old files
            state = torch.load(path, map_location="cpu", weights_only=True)
    # A damaged archive or pickle can raise almost any exception; in every case the file is invalid,
    # and none of its code has run.
    except Exception as error:
        raise CheckpointError(
            f"{path}: damaged, or contains more than weights; none of its code was run: "
            f"{_reason(error)}"
        ) from None
    if not isinstance(state, dict):
        raise CheckpointError(f"{path}: contains a {type(state).__name__}; expected a state dict")
    return {key: _array(torch, key, value, path) for key, value in state.items()}


def _check_archive(path: Path) -> None:
    """Refuse an archive that would take more memory than its file is large.

    torch stores the members of an archive as they are, each once. Compressed members, or several
    that share their bytes, could grow to any size. The directory of the archive tells.
    """
    if not zipfile.is_zipfile(path):
        return
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
        raise CheckpointError(f"{path}: damaged: {_first_line(error)}") from None
    for member in members:
        if member.compress_type != zipfile.ZIP_STORED or member.compress_size != member.file_size:
            raise CheckpointError(
                f"{path}: member {brief(member.filename)} is compressed, and torch compresses "
                "none; refused"
            )
        is_pickle = member.filename.endswith(".pkl")
        if is_pickle and member.file_size > MAX_BYTES:  # a byte can become an object of 56 bytes
            raise CheckpointError(
                f"{path}: member {brief(member.filename)} is larger than the limit of "
                f"{MAX_BYTES:,} bytes"
            )
    if sum(member.file_size for member in members) > path.stat().st_size:
        raise CheckpointError(f"{path}: its members claim more bytes than the file has; refused")


def _array(torch: Any, key: Any, tensor: Any, path: Path) -> np.ndarray:
    if not isinstance(key, str) or not isinstance(tensor, torch.Tensor):
        raise CheckpointError(
            f"{path}: {brief(key)} is a {type(tensor).__name__}; expected a state dict of tensors"
        )
    if tensor.layout != torch.strided or tensor.is_quantized or tensor.device.type != "cpu":
        raise CheckpointError(f"{path}: weight {key!r} is not a plain dense tensor")
    # A tensor of any size can be a view of a few bytes; a saved weight never is.
    if tensor.numel() * tensor.element_size() > tensor.untyped_storage().nbytes():
        raise CheckpointError(f"{path}: weight {key!r} is larger than its data")
    if tensor.is_complex():
        raise CheckpointError(f"{path}: weight {key!r} is complex; expected real numbers")
    if tensor.is_floating_point():
        tensor = tensor.float()
    array: np.ndarray = tensor.detach().contiguous().numpy()
    return array


def _reason(error: Exception) -> str:
    """What torch says, without its advice to load the file unsafely."""
    text = str(error)
    if name := re.search(r"GLOBAL ([\w.]{1,100})", text):
        return f"it names {name[1]}, which is no part of a tensor"
    if "weights_only" in text:
        return "it is no pickle of tensors"
    return _first_line(error)


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0] if lines else ''}"
