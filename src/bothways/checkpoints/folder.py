"""Reading model folders of any supported library, and computing their fingerprints."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

from bothways.checkpoints.bothways_folder import SETTINGS_FILE, read_bothways
from bothways.checkpoints.generative_reranker import as_reranker
from bothways.checkpoints.late_interaction_folder import METADATA_FILE, with_stanford_projection
from bothways.checkpoints.lora import ADAPTER_CONFIG, ADAPTER_FILES
from bothways.checkpoints.model_bundle import ModelBundle
from bothways.checkpoints.published_pooling import warn_of_pooling
from bothways.checkpoints.reader_files import READER_FILES
from bothways.checkpoints.routes import ROUTER_FILES
from bothways.checkpoints.sentence_transformers_files import ABOUT_FILE, SETTINGS_FILES
from bothways.checkpoints.sentence_transformers_folder import read_sentence_transformers
from bothways.checkpoints.sentence_transformers_modules import (
    ENCODERS,
    modules_of,
    modules_of_all_routes,
)
from bothways.checkpoints.sparse_static_embedding_folder import weights_in_json
from bothways.checkpoints.task_adapters import task_files
from bothways.checkpoints.transformers_folder import read_transformers, require_family
from bothways.checkpoints.unread_fields import UnreadFields
from bothways.checkpoints.weight_files import find_weights
from bothways.errors import CheckpointError, InputError, UnsupportedModel
from bothways.io.json_files import has_file

__all__ = ["fingerprint", "read_folder"]


def read_folder(
    path: Path,
    *,
    family: str | None = None,
    adapter: str | None = None,
    route: str | None = None,
) -> ModelBundle:
    """Read a model folder: of bothways, of sentence-transformers, or of transformers.

    family: the family of a folder of transformers whose config.json has no model_type.
    adapter: the task whose adapter is merged into the weights, in models that have adapters for
        tasks; its prompt becomes the default prompt.
    route: the route to read of a folder of sentence-transformers with a Router, such as `query`;
        None for the default one.

    Warns of settings that nothing reads, and if a folder of transformers is known for another
    pooling than the mean.

    Raises:
        CheckpointError: if it is no folder, or a file is missing, malformed, or contradicts others.
        UnsupportedModel: if bothways cannot run the model faithfully; the message says why.
        MissingExtra: if its weights are in torch's format and torch is not installed.
        InputError: if bothways has no such family, the folder names another, or the model has no
            such adapter or route.
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
        if route is not None:
            raise InputError(f"route={route!r}: {path} has no routes, but one encoder")
        return read_bothways(path)
    if has_file(path / "modules.json"):
        model = read_sentence_transformers(path, family, adapter, route)
    elif route is not None:
        raise InputError(f"route={route!r}: {path} has no routes, but one encoder")
    else:
        model = as_reranker(with_stanford_projection(read_transformers(path, family, adapter)))
        if model.spec.late_interaction is None:
            warn_of_pooling(model)
    UnreadFields.of(model.source_settings).warn(path)
    return model


def fingerprint(path: Path, adapter: str | None = None, route: str | None = None) -> str:
    """SHA-256, in hex, over name and content of every file that can change a vector.

    adapter, route: as in `read_folder`. Renaming the folder, or adding a README, does not change
    it, nor does choosing the default route.

    Raises:
        CheckpointError: if it is no model folder, or a file cannot be read.
    """
    _check_is_folder(path)
    digest = hashlib.sha256(b"bothways folder 1\n")
    if adapter is not None:
        digest.update(f"adapter {adapter}\n".encode())
    if route is not None and route != _default_route(path):
        digest.update(f"route {route}\n".encode())
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


def _default_route(path: Path) -> str | None:
    routes = modules_of(path, route=None).routes if has_file(path / "modules.json") else None
    return None if routes is None else routes.of_task(None)


def _deciding_files(path: Path, adapter: str | None) -> Iterator[Path]:
    encoders = [path]
    settings = [path / "config.json", path / METADATA_FILE]
    if has_file(path / SETTINGS_FILE):
        settings = [path / SETTINGS_FILE]
    elif has_file(path / "modules.json"):
        modules = modules_of_all_routes(path)
        encoders = [module.path for module in modules if module.name in ENCODERS]
        settings = [path / "modules.json", path / ABOUT_FILE]
        for module in modules:
            settings.append(module.path / "config.json")
            if module.name == "Router":
                settings += [module.path / name for name in ROUTER_FILES]
            elif module.path not in encoders:
                yield from find_weights(module.path)
        settings += [folder / name for folder in encoders for name in SETTINGS_FILES]
        settings += filter(None, map(weights_in_json, encoders))
    for folder in encoders:
        yield from find_weights(folder)
        settings += [folder / name for name in (*READER_FILES, *ADAPTER_FILES)]
        settings += task_files(folder, adapter)
    yield from (file for file in settings if has_file(file))
