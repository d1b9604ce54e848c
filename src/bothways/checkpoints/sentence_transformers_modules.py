"""The modules that a sentence-transformers folder names: looked up in a list, never imported.

In the spellings of sentence-transformers 1 to 6.
"""

from pathlib import Path

from bothways.checkpoints.families import family_of
from bothways.checkpoints.json_fields import Fields
from bothways.checkpoints.weight_files import inside
from bothways.errors import CheckpointError, UnsupportedModel
from bothways.io.json_files import brief, read_json, read_optional_object

__all__ = ["module_folders", "modules_of"]

_HOMES = {
    "Transformer": ("models", "base.modules.transformer"),
    "StaticEmbedding": ("models", "sentence_transformer.modules.static_embedding"),
    "Pooling": ("models", "sentence_transformer.modules.pooling"),
    "Dense": ("models", "base.modules.dense"),
    "LayerNorm": ("models", "sentence_transformer.modules.layer_norm"),
    "Dropout": ("models", "sentence_transformer.modules.dropout"),
    "Normalize": ("models", "base.modules.normalize"),
    "MLMTransformer": ("sparse_encoder.models", "sparse_encoder.modules.mlm_transformer"),
    "MultiVectorMask": (
        "multi_vector_encoder.modules",
        "multi_vector_encoder.modules.multi_vector_mask",
    ),
    "SpladePooling": ("sparse_encoder.models", "sparse_encoder.modules.splade_pooling"),
}
_MODULES = {
    f"sentence_transformers.{spelling}": name
    for name, (old, home) in _HOMES.items()
    for spelling in (f"{old}.{name}", f"{old}.{name}.{name}", f"{home}.{name}")
}

_MODULES["pylate.models.Dense.Dense"] = "Dense"


def module_folders(folder: Path) -> list[Path]:
    """The folders of the modules of a sentence-transformers folder, in order.

    Raises:
        CheckpointError: if modules.json is malformed; UnsupportedModel if it names another module.
    """
    return [path for _, path in modules_of(folder)]


def modules_of(folder: Path) -> list[tuple[str, Path]]:
    """Name and folder of each module, in order.

    Raises:
        CheckpointError: if modules.json is malformed; UnsupportedModel if it names another module.
    """
    file = folder / "modules.json"
    entries = read_json(file)
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise CheckpointError(f"{file}: expected a list of modules, each an object")
    if not entries:
        raise CheckpointError(f"{file}: the list of modules is empty")
    modules = []
    for number, entry in enumerate(entries):
        fields = Fields(entry, f"{file}: module {number}")
        name = fields.text("type")
        path = inside(folder, fields.text("path"), file)
        fields.only("kwargs", None, [], {})
        fields.drop(("idx", "name"))
        fields.finish("a module")
        if name not in _MODULES and name in _published_modules(path):
            name = "sentence_transformers.models.Transformer"
        if name not in _MODULES:
            raise UnsupportedModel(
                f"{file}: module {number} is {brief(name)}; bothways has {', '.join(_HOMES)} of "
                "sentence-transformers, and imports nothing that a model folder names"
            )
        modules.append((_MODULES[name], path))
    return modules


def _published_modules(folder: Path) -> frozenset[str]:
    """The published modules that stand for the Transformer in `folder`, by its config.json."""
    family = family_of(read_optional_object(folder / "config.json"))
    return frozenset() if family is None else family.published_modules
