"""The modules that a sentence-transformers folder names: looked up in a list, never imported.

In the spellings of sentence-transformers 1 to 6.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from bothways.checkpoints.families import family_of
from bothways.checkpoints.json_fields import Fields
from bothways.checkpoints.routes import Router, Routes, read_router
from bothways.checkpoints.weight_files import inside
from bothways.errors import CheckpointError, InputError, UnsupportedModel
from bothways.io.json_files import brief, read_json, read_optional_object

__all__ = ["ENCODERS", "ModuleFolder", "RouteModules", "modules_of", "modules_of_all_routes"]

_HOMES = {
    "Transformer": ("models", "base.modules.transformer"),
    "Router": ("models", "base.modules.router"),
    "StaticEmbedding": ("models", "sentence_transformer.modules.static_embedding"),
    "Pooling": ("models", "sentence_transformer.modules.pooling"),
    "WeightedLayerPooling": (
        "models",
        "sentence_transformer.modules.weighted_layer_pooling",
    ),
    "Dense": ("models", "base.modules.dense"),
    "LayerNorm": ("models", "sentence_transformer.modules.layer_norm"),
    "Dropout": ("models", "sentence_transformer.modules.dropout"),
    "Normalize": ("models", "base.modules.normalize"),
    "MLMTransformer": ("sparse_encoder.models", "sparse_encoder.modules.mlm_transformer"),
    "LogitScore": ("cross_encoder.modules", "cross_encoder.modules.logit_score"),
    "MultiVectorMask": (
        "multi_vector_encoder.modules",
        "multi_vector_encoder.modules.multi_vector_mask",
    ),
    "SparseStaticEmbedding": (
        "sparse_encoder.models",
        "sparse_encoder.modules.sparse_static_embedding",
    ),
    "SpladePooling": ("sparse_encoder.models", "sparse_encoder.modules.splade_pooling"),
}
_MODULES = {
    f"sentence_transformers.{spelling}": name
    for name, (old, home) in _HOMES.items()
    for spelling in (f"{old}.{name}", f"{old}.{name}.{name}", f"{home}.{name}")
} | {
    "pylate.models.Dense.Dense": "Dense",
    "sentence_transformers.models.Asym": "Router",  # before release 5
    "sentence_transformers.models.Asym.Asym": "Router",
}


ENCODERS = ("Transformer", "MLMTransformer", "StaticEmbedding", "SparseStaticEmbedding")
"""Modules that read texts, and so have a tokenizer."""


class ModuleFolder(NamedTuple):
    """A module: the name of its class, and the folder of its files."""

    name: str
    path: Path


class RouteModules(NamedTuple):
    """The modules that texts of one route go through, in order.

    route: its name; None if the folder has no Router, so that `routes` is None.
    """

    modules: list[ModuleFolder]
    routes: Routes | None = None
    route: str | None = None


def modules_of(folder: Path, route: str | None = None) -> RouteModules:
    """The modules of a sentence-transformers folder, on a route if it has several.

    route: None for the default one.

    Raises:
        CheckpointError: if modules.json or a router's file is malformed.
        UnsupportedModel: if they name a module that bothways does not have.
        InputError: if there is no such route, or none is the default.
    """
    modules: list[ModuleFolder] = []
    routes = None
    for module, router in _read(folder):
        if router is None:
            modules.append(module)
            continue
        routes = router.routes
        route = routes.of_task(None) if route is None else routes.check(route)
        modules += _on_route(router, route)
    if routes is None and route is not None:
        raise InputError(f"route={brief(route)}: {folder} has no routes, but one encoder")
    return RouteModules(modules, routes, route)


def modules_of_all_routes(folder: Path) -> list[ModuleFolder]:
    """The modules of a folder, those of all routes and routers themselves included, each once.

    Raises:
        CheckpointError, UnsupportedModel: as `modules_of`.
    """
    modules: list[ModuleFolder] = []
    for module, router in _read(folder):
        modules.append(module)
        if router is not None:
            modules += [each for name in router.modules for each in _on_route(router, name)]
    return list(dict.fromkeys(modules))


def _read(folder: Path) -> Iterator[tuple[ModuleFolder, Router | None]]:
    """The modules of modules.json; a Router with what it contains."""
    file = folder / "modules.json"
    entries = read_json(file)
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise CheckpointError(f"{file}: expected a list of modules, each an object")
    if not entries:
        raise CheckpointError(f"{file}: the list of modules is empty")
    has_router = False
    for number, entry in enumerate(entries):
        fields = Fields(entry, f"{file}: module {number}")
        module = _module(
            fields.text("type"), inside(folder, fields.text("path"), file), fields.file
        )
        fields.only("kwargs", None, [], {})
        fields.drop(("idx", "name"))
        fields.finish("a module")
        if module.name == "Router" and has_router:
            raise UnsupportedModel(f"{fields.file}: a second Router; bothways runs one")
        has_router |= module.name == "Router"
        yield module, read_router(module.path) if module.name == "Router" else None


def _on_route(router: Router, route: str) -> list[ModuleFolder]:
    place = f"{router.routes.file}: route {brief(route)}"
    modules = [_module(kind, path, place) for kind, path in router.modules[route]]
    if any(module.name == "Router" for module in modules):
        raise UnsupportedModel(f"{place}: a Router in a Router")
    return modules


def _module(kind: str, path: Path, place: str) -> ModuleFolder:
    """A module of the list. place: where a file names it, for messages."""
    if kind not in _MODULES and kind in _published_modules(path):
        return ModuleFolder("Transformer", path)
    if kind not in _MODULES:
        raise UnsupportedModel(
            f"{place} is {brief(kind)}; bothways has {', '.join(_HOMES)} of "
            "sentence-transformers, and imports nothing that a model folder names"
        )
    return ModuleFolder(_MODULES[kind], path)


def _published_modules(folder: Path) -> frozenset[str]:
    """The published modules that stand for the Transformer in `folder`, by its config.json."""
    family = family_of(read_optional_object(folder / "config.json"))
    return frozenset() if family is None else family.published_modules
