"""Writing a model folder for transformers, sentence-transformers, ONNX Runtime or bothways."""

import os
from pathlib import Path
from typing import Literal, assert_never

from bothways.checkpoints.bothways_folder import write_bothways
from bothways.checkpoints.model_bundle import ModelBundle
from bothways.checkpoints.onnx import write_onnx
from bothways.checkpoints.sentence_transformers_export import write_modules
from bothways.checkpoints.transformers_export import write_transformers
from bothways.errors import DataFileError
from bothways.io.atomic import atomic_folder

__all__ = ["Format", "export"]

Format = Literal["bothways", "transformers", "sentence-transformers", "onnx"]


def export(model: ModelBundle, out: str | os.PathLike[str], to: Format) -> tuple[str, ...]:
    """Write a model in the format of another library or of bothways; return what is left out.

    A transformers folder holds the encoder, and the heads that a class of its family computes;
    pooling, modules and prompts need sentence-transformers or bothways. An ONNX folder holds one
    graph that computes all of them. The result names each head that the folder lacks, and why.
    The folder appears under its name when it is complete and on disk, or not at all.

    Raises:
        UnsupportedModel: if the format cannot express the encoder; the message names the field.
        MissingExtra: for ONNX, if the onnx library is not installed.
        DataFileError: if `out` exists and is not empty, or cannot be written.
    """
    out = Path(out)
    if out.is_file() or (out.is_dir() and any(out.iterdir())):
        raise DataFileError(f"{out}: exists already; choose another name, or remove it")
    with atomic_folder(out) as hidden:
        left_out = _write(hidden, model, to)
    return tuple(left_out)


def _write(out: Path, model: ModelBundle, to: Format) -> list[str]:
    left_out: list[str] = []
    match to:
        case "bothways":
            write_bothways(out, model)
        case "transformers":
            left_out = write_transformers(out, model)
        case "sentence-transformers":
            left_out = write_transformers(out, model)
            write_modules(out, model)
        case "onnx":
            left_out = write_onnx(out, model)
        case unknown:
            assert_never(unknown)
    model.copy_reader_files(out)
    return left_out
