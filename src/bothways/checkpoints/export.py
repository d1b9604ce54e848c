"""Writing a model folder for others: for transformers, for sentence-transformers, or for bothways.

A folder appears under its name only when it is whole: it is written beside it and then renamed.
"""

import secrets
import shutil
from pathlib import Path
from typing import Literal, assert_never

import numpy as np

from bothways.checkpoints.bothways_folder import write_bothways
from bothways.checkpoints.families import FAMILIES
from bothways.checkpoints.family import Family
from bothways.checkpoints.json_files import write_json
from bothways.checkpoints.model_folder import READER_FILES, Dense, ModelFolder, Normalize
from bothways.checkpoints.sentence_transformers_folder import (
    DENSE_ACTIVATIONS,
    POOLING_FLAGS,
    POOLING_NAMES,
    SETTINGS_FILES,
)
from bothways.checkpoints.table import KeyTable
from bothways.checkpoints.weight_files import write_safetensors
from bothways.errors import DataFileError, UnsupportedModel

__all__ = ["Format", "export"]

Format = Literal["bothways", "transformers", "sentence-transformers"]


def export(folder: ModelFolder, out: Path, to: Format) -> None:
    """Write a model in the format of another library, or of bothways.

    A transformers folder has the encoder and its heads; pooling, prompts and what follows pooling
    belong to sentence-transformers and bothways, and are left behind.

    Raises:
        UnsupportedModel: if the format has no words for the model; the message names the field.
        DataFileError: if `out` exists and is not empty, or cannot be written.
    """
    if out.is_file() or (out.is_dir() and any(out.iterdir())):
        raise DataFileError(f"{out}: exists already; choose another name, or remove it")
    partial = out.parent / f".{out.name}.{secrets.token_hex(4)}.partial"
    try:
        partial.mkdir(parents=True)
    except OSError as error:
        raise DataFileError(f"{out}: cannot be written: {error.strerror or error}") from error
    try:
        _write(partial, folder, to)
        if out.is_dir():
            out.rmdir()
        partial.rename(out)
    except OSError as error:
        raise DataFileError(f"{out}: cannot be written: {error.strerror or error}") from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _write(out: Path, folder: ModelFolder, to: Format) -> None:
    match to:
        case "bothways":
            write_bothways(out, folder)
        case "transformers":
            _write_transformers(out, folder)
        case "sentence-transformers":
            _write_transformers(out, folder)
            _write_sentence_transformers(out, folder)
        case unknown:
            assert_never(unknown)
    for name in READER_FILES:
        if (folder.reader_path / name).is_file():
            shutil.copyfile(folder.reader_path / name, out / name)


def _write_transformers(out: Path, folder: ModelFolder) -> None:
    family = _family_for(folder)
    heads = _heads_for(family, folder)
    table = _table_for(family, heads)
    config = family.write_config(folder.config, folder.head_settings)
    write_json(out / "config.json", config)
    arrays = table.write(folder.weights | heads, family.buffers(folder.config))
    write_safetensors(out / "model.safetensors", arrays)


def _family_for(folder: ModelFolder) -> Family:
    """The family that the folder came from, or one that can express its config."""
    origin = FAMILIES.get(folder.head_settings.get("model_type", folder.family))
    candidates = [origin] if origin else list(FAMILIES.values())
    obstacles = {family.model_type: family.obstacle(folder.config) for family in candidates}
    for family in candidates:
        if not obstacles[family.model_type]:
            return family
    nearest = min(obstacles, key=lambda name: len(obstacles[name]))
    raise UnsupportedModel(
        f"{folder.path}: no family of transformers can express this encoder; "
        f"the nearest, {nearest}, has no way to say {obstacles[nearest]}"
    )


def _heads_for(family: Family, folder: ModelFolder) -> dict[str, np.ndarray]:
    """The heads, with the bias of an untied decoder where the family has it twice."""
    heads = dict(folder.heads)
    bias = heads.get("heads.masked_tokens.bias")
    twice = "heads.masked_tokens.decoder.bias"
    untied = "heads.masked_tokens.decoder.weight" in heads and bias is not None
    if untied and bias is not None and any(table.knows([twice]) for table in family.tables):
        heads.setdefault(twice, bias)
    return heads


def _table_for(family: Family, heads: dict[str, np.ndarray]) -> KeyTable:
    for table in family.tables:
        if table.knows(heads):
            return table
    unknown = next(name for name in heads if not family.tables[0].knows([name]))
    raise UnsupportedModel(f"{family.model_type} has no head with a weight {unknown!r}")


def _write_sentence_transformers(out: Path, folder: ModelFolder) -> None:
    modules = [("Transformer", ""), ("Pooling", "1_Pooling")]
    _write_pooling(out / "1_Pooling", folder)
    for number, module in enumerate(folder.modules, start=2):
        name = type(module).__name__
        modules.append((name, f"{number}_{name}"))
        match module:
            case Dense():
                _write_dense(out / f"{number}_Dense", module)
            case Normalize():
                (out / f"{number}_Normalize").mkdir()
    entries = [
        {"idx": i, "name": str(i), "path": path, "type": f"sentence_transformers.models.{name}"}
        for i, (name, path) in enumerate(modules)
    ]
    write_json(out / "modules.json", entries)
    settings = {"max_seq_length": folder.max_length, "do_lower_case": folder.lowercase}
    write_json(out / SETTINGS_FILES[0], settings)
    about: dict[str, object] = {
        "model_type": "SentenceTransformer",
        "prompts": dict(folder.prompts),
        "default_prompt_name": folder.default_prompt,
        "similarity_fn_name": folder.similarity,
    }
    if folder.dimensions is not None:
        about["truncate_dim"] = folder.dimensions
    write_json(out / "config_sentence_transformers.json", about)


def _write_pooling(out: Path, folder: ModelFolder) -> None:
    out.mkdir()
    modes = folder.pooling.modes
    settings: dict[str, object] = {
        "word_embedding_dimension": folder.config.d_model,
        "include_prompt": folder.pooling.include_prompt,
    }
    flags = {flag: mode in modes for flag, mode in POOLING_FLAGS.items()}
    if modes == tuple(mode for flag, mode in POOLING_FLAGS.items() if flags[flag]):
        settings |= flags  # which every release reads
    else:
        names = {mode: name for name, mode in POOLING_NAMES.items()}
        settings["pooling_mode"] = [names[mode] for mode in modes]
    write_json(out / "config.json", settings)


def _write_dense(out: Path, dense: Dense) -> None:
    names = {activation: name for name, activation in DENSE_ACTIVATIONS.items()}
    if dense.activation not in names:
        raise UnsupportedModel(
            f"sentence-transformers has no dense layer with activation {dense.activation!r}"
        )
    out.mkdir()
    settings = {
        "in_features": dense.weight.shape[1],
        "out_features": dense.weight.shape[0],
        "bias": dense.bias is not None,
        "activation_function": names[dense.activation],
    }
    write_json(out / "config.json", settings)
    arrays = {"linear.weight": dense.weight}
    if dense.bias is not None:
        arrays["linear.bias"] = dense.bias
    write_safetensors(out / "model.safetensors", arrays)
