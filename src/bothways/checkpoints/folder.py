"""Reading model folders of any supported library, and computing their fingerprints."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

from bothways.checkpoints.bothways_folder import SETTINGS_FILE, read_bothways
from bothways.checkpoints.late_interaction_folder import METADATA_FILE, with_stanford_projection
from bothways.checkpoints.lora import ADAPTER_CONFIG, ADAPTER_FILES
from bothways.checkpoints.model_bundle import ModelBundle
from bothways.checkpoints.published_pooling import warn_of_pooling
from bothways.checkpoints.reader_files import READER_FILES
from bothways.checkpoints.sentence_transformers_folder import (
    SETTINGS_FILES,
    read_sentence_transformers,
)
from bothways.checkpoints.sentence_transformers_modules import module_folders
from bothways.checkpoints.task_adapters import task_files
from bothways.checkpoints.transformers_folder import read_transformers, require_family
from bothways.checkpoints.unread_fields import UnreadFields
from bothways.checkpoints.weight_files import find_weights
from bothways.errors import CheckpointError, InputError, UnsupportedModel
from bothways.io.json_files import has_file

__all__ = ["fingerprint", "read_folder"]


def read_folder(
    path: Path, *, family: str | None = None, adapter: str | None = None
) -> ModelBundle:
    """Read a model folder: of bothways, of sentence-transformers, or of transformers.

    family: the family of a folder of transformers whose config.json has no model_type.
    adapter: the task whose adapter is merged into the weights, in models that have adapters for
        tasks; its prompt becomes the default prompt.

    Warns of settings that nothing reads, and if a folder of transformers is known for another
    pooling than the mean.

    Raises:
        CheckpointError: if it is no folder, or a file is missing, malformed, or contradicts others.
        UnsupportedModel: if bothways cannot run the model faithfully; the message says why.
        MissingExtra: if its weights are in torch's format and torch is not installed.
        InputError: if bothways has no such family, the folder names another, or the model has no
            such adapter.
    """
    _check_is_folder(path)
    if family is not None:
        require_family(family)
    if has_file(path / SETTINGS_FILE):
        if family is not None:
            raise InputError(f"family={family!r}: {path / SETTINGS_FILE} says what the model is")
        if has_file(path / ADAPTER_CONFIG):
            raise UnsupportedModel(
                f"{path / ADAPTER_CONFIG}: an adapter beside a folder of bothways, which has none"
            )
        if adapter is not None:
            raise InputError(f"adapter={adapter!r}: {path} has no adapters for tasks")
        return read_bothways(path)
    if has_file(path / "modules.json"):
        model = read_sentence_transformers(path, family, adapter)
    else:
        model = with_stanford_projection(read_transformers(path, family, adapter))
        if model.spec.late_interaction is None:
            warn_of_pooling(model)
    UnreadFields.of(model.source_settings).warn(path)
    return model


def fingerprint(path: Path, adapter: str | None = None) -> str:
    """SHA-256, in hex, over name and content of every file that can change a vector.

    adapter: as in `read_folder`. Renaming the folder, or adding a README, does not change it.

    Raises:
        CheckpointError: if it is no model folder, or a file cannot be read.
    """
    _check_is_folder(path)
    digest = hashlib.sha256(b"bothways folder 1\n")
    if adapter is not None:
        digest.update(f"adapter {adapter}\n".encode())
    names = {file.relative_to(path).as_posix(): file for file in _deciding_files(path, adapter)}
    for name in sorted(names):
        try:
            with names[name].open("rb") as content:
                digest.update(f"{name}\n".encode())
                digest.update(hashlib.file_digest(content, "sha256").digest())
        except OSError as error:
            raise CheckpointError(f"{names[name]}: cannot be read: {error.strerror}") from error
    return digest.hexdigest()


def _check_is_folder(path: Path) -> None:
    if not path.is_dir():
        what = "is a file, not a folder" if path.exists() else "no such folder"
        if path.is_symlink() and not path.exists():
            what = f"a link to {path.readlink()}, which does not exist"
        raise CheckpointError(f"{path}: {what}; expected the folder of a model")


def _deciding_files(path: Path, adapter: str | None) -> Iterator[Path]:
    encoder = path
    settings = [path / "config.json", path / METADATA_FILE]
    if has_file(path / SETTINGS_FILE):
        settings = [path / SETTINGS_FILE]
    elif has_file(path / "modules.json"):
        encoder, *modules = module_folders(path)
        settings = [path / "modules.json", path / "config_sentence_transformers.json"]
        settings += [folder / "config.json" for folder in (encoder, *modules)]
        settings += [encoder / name for name in SETTINGS_FILES]
        for folder in modules:
            yield from find_weights(folder)
    yield from find_weights(encoder)
    settings += [encoder / name for name in (*READER_FILES, *ADAPTER_FILES)]
    settings += task_files(encoder, adapter)
    yield from (file for file in settings if has_file(file))
