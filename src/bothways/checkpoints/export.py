"""Writing a model folder for transformers, sentence-transformers, ONNX Runtime or bothways."""

import os
from pathlib import Path
from typing import Literal, assert_never

from bothways.checkpoints.bothways_folder import write_bothways
from bothways.checkpoints.model_bundle import ModelBundle
from bothways.checkpoints.onnx import write_loader_files, write_onnx
from bothways.checkpoints.reader_files import write_length_limit
from bothways.checkpoints.readers import open_reader
from bothways.checkpoints.sentence_transformers_export import write_modules
from bothways.checkpoints.sparse_static_embedding_folder import write_sparse_static_embedding
from bothways.checkpoints.static_embedding_folder import write_static_embedding
from bothways.checkpoints.transformers_export import write_transformers
from bothways.errors import DataFileError, UnsupportedModel
from bothways.io.atomic import atomic_folder

__all__ = ["Format", "check_export_folder", "export"]

_MODEL_FILES = ("bothways.json", "config.json", "modules.json", "model.onnx")

Format = Literal["bothways", "transformers", "sentence-transformers", "onnx"]


def export(
    model: ModelBundle, out: str | os.PathLike[str], to: Format, *, overwrite: bool = False
) -> tuple[str, ...]:
    """Write a model in the format of another library or of bothways; return what is left out.

    A transformers folder holds the encoder, and the heads that a class of its family computes;
    pooling, modules and prompts need sentence-transformers or bothways. An ONNX folder holds one
    graph that computes all of them. The result names each head that the folder lacks, and why.
    The folder appears under its name when it is complete and on disk, or not at all.

    overwrite: replace `out` once the new folder is complete, if it is an exported model.

    Raises:
        UnsupportedModel: if the format cannot express the encoder; the message names the field.
        MissingExtra: for ONNX, if the onnx library is not installed.
        DataFileError: if `out` exists and is not empty, or cannot be written.
    """
    out = Path(out)
    check_export_folder(out, overwrite=overwrite)
    exists = _is_taken(out)
    if exists:
        _check_replaceable(out, model)
    with atomic_folder(out, replace=exists) as hidden:
        left_out = _write(hidden, model, to)
    return tuple(left_out)


def check_export_folder(out: Path, *, overwrite: bool) -> None:
    """Raise if a model may not be exported to `out`, as far as that does not depend on the model.

    Raises:
        DataFileError: if `out` exists, is not empty, and is not to be replaced.
    """
    if _is_taken(out) and not overwrite:
        raise DataFileError(
            f"{out}: exists already; choose another name, remove it, or replace it with "
            "--overwrite (overwrite=True)"
        )


def _is_taken(out: Path) -> bool:
    return out.is_file() or (out.is_dir() and any(out.iterdir()))


def _check_replaceable(out: Path, model: ModelBundle) -> None:
    """Check that a folder is an exported model other than the one to export.

    Raises:
        DataFileError: if it is something else.
    """
    if out.resolve() in (model.path.resolve(), model.reader_path.resolve()):
        raise DataFileError(f"{out}: is the model to export; choose another name")
    is_model = any((out / name).is_file() for name in _MODEL_FILES)
    if not is_model or (out / "training.json").exists():
        raise DataFileError(
            f"{out}: is not an exported model, and --overwrite replaces nothing else; choose "
            "another name"
        )


def _write(out: Path, model: ModelBundle, to: Format) -> list[str]:
    with_term = [head.task for head in model.spec.heads if head.linear_term is not None]
    if with_term and to != "bothways":
        left_out = _write(out, model.without_linear_terms(), to)
        return left_out + [
            f"the linear term of the head for {task}, which only bothways computes: predictions "
            "are those of the encoder alone; a model trained with --no-linear-term has none"
            for task in with_term
        ]
    if to in ("sentence-transformers", "onnx") and model.spec.late_interaction is not None:
        raise UnsupportedModel(
            f"{model.path}: a model of late interaction, which is exported to bothways, or its "
            "encoder to transformers"
        )
    if to == "onnx" and model.spec.layer_weights is not None:
        raise UnsupportedModel(
            f"{model.path}: a mean of several layers, which bothways does not write as a graph; "
            "export it to sentence-transformers or bothways"
        )
    if to == "onnx" and _weighs_tokens(model):
        raise UnsupportedModel(
            f"{model.path}: weights of tokens, which need no graph; export them to "
            "sentence-transformers or bothways"
        )
    if to == "transformers" and model.spec.empty_token is not None:
        raise UnsupportedModel(
            f"{model.path}: static embeddings, for which transformers has no class; export them "
            "to sentence-transformers"
        )
    match to:
        case "bothways":
            write_bothways(out, model)
            model.copy_reader_files(out)
            return []
        case "sentence-transformers" if _weighs_tokens(model):
            write_sparse_static_embedding(out, model)
            model.copy_reader_files(out)
            write_length_limit(out, model.spec.max_length)
            write_modules(out, model)
            return []
        case "sentence-transformers" if model.spec.empty_token is not None:
            write_static_embedding(out, model)
            write_modules(out, model)
            return [
                f"the head for {head.task}: StaticEmbedding of sentence-transformers has none"
                for head in model.spec.heads
            ]
        case "transformers" | "sentence-transformers":
            left_out = write_transformers(out, model) + _unwritten_template(model)
            if to == "transformers" and model.spec.layer_weights is not None:
                left_out.append("the mean of layers, which transformers has no class for")
            model.copy_reader_files(out)
            write_length_limit(out, model.spec.max_length)
            if to == "sentence-transformers":
                write_modules(out, model)
            return left_out
        case "onnx":
            left_out = write_onnx(out, model, _added_ids(model))
            return [*left_out, *write_loader_files(out, model), *_unwritten_template(model)]
        case unknown:
            assert_never(unknown)


def _weighs_tokens(model: ModelBundle) -> bool:
    return model.spec.terms is not None and model.spec.terms.source == "tokens"


def _unwritten_template(model: ModelBundle) -> list[str]:
    if model.spec.pair_template is None:
        return []
    return ["the text around pairs of a query and a document, which only bothways writes"]


def _added_ids(model: ModelBundle) -> list[int]:
    """The ids that `mean_content` leaves out, if the model pools so.

    Raises:
        UnsupportedModel: if the folder has no tokenizer that knows them.
    """
    if "mean_content" not in model.spec.pooling.modes:
        return []
    reader = open_reader(model)
    if reader is None:
        raise UnsupportedModel(
            f"{model.path}: pooling 'mean_content' leaves out special tokens, and the folder has "
            "no tokenizer that says which ids those are"
        )
    return sorted(reader.added_ids)
