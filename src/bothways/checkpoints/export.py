"""Writing a model folder for others: for transformers, sentence-transformers, ONNX, or bothways.

A folder appears under its name only when it is complete: see `bothways.io.atomic`.
"""

import os
import shutil
from pathlib import Path
from typing import Literal, assert_never

from bothways.checkpoints.bothways_folder import write_bothways
from bothways.checkpoints.model_folder import READER_FILES, ModelFolder
from bothways.checkpoints.onnx import write_onnx
from bothways.checkpoints.sentence_transformers_export import write_modules
from bothways.checkpoints.transformers_export import write_transformers
from bothways.errors import DataFileError
from bothways.io.atomic import atomic_folder

__all__ = ["Format", "export"]

Format = Literal["bothways", "transformers", "sentence-transformers", "onnx"]


def export(folder: ModelFolder, out: str | os.PathLike[str], to: Format) -> tuple[str, ...]:
    """Write a model in the format of another library, or of bothways; say what had to be left out.

    A transformers folder has the encoder, and the heads that a class of its family computes;
    pooling, prompts and what follows pooling belong to sentence-transformers and bothways. A folder
    for ONNX has one graph that computes all of it. What is returned names each head that is not in
    the folder, and why.

    Raises:
        UnsupportedModel: if the format has no words for the encoder; the message names the field.
        MissingExtra: for ONNX, if it is not installed.
        DataFileError: if `out` exists and is not empty, or cannot be written.
    """
    out = Path(out)
    if out.is_file() or (out.is_dir() and any(out.iterdir())):
        raise DataFileError(f"{out}: exists already; choose another name, or remove it")
    with atomic_folder(out) as folder_to_fill:
        left_out = _write(folder_to_fill, folder, to)
    return tuple(left_out)


def _write(out: Path, folder: ModelFolder, to: Format) -> list[str]:
    left_out: list[str] = []
    match to:
        case "bothways":
            write_bothways(out, folder)
        case "transformers":
            left_out = write_transformers(out, folder)
        case "sentence-transformers":
            left_out = write_transformers(out, folder)
            write_modules(out, folder)
        case "onnx":
            left_out = write_onnx(out, folder)
        case unknown:
            assert_never(unknown)
    for name in READER_FILES:
        if (folder.reader_path / name).is_file():
            shutil.copyfile(folder.reader_path / name, out / name)
    return left_out
