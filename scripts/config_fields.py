"""The fields of settings files that transformers and sentence-transformers read.

For each family: the fields of its config class, and what its model code reads from a config. Code
that all models share reads the fields of the base class. Sources are parsed, not imported.

    python -m scripts.config_fields        write the lists for the installed versions

`tests/checkpoints/test_config_fields.py` compares the lists with the installed versions, and checks
that bothways knows each field: a new version that reads another field fails it.
"""

import ast
import importlib.metadata
import importlib.util
import json
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

__all__ = ["LISTS", "collect"]

LISTS = Path(__file__).parents[1] / "tests/checkpoints/data/config_fields.json"

MODULES = {
    "Transformer": "base/modules/transformer.py",
    "Pooling": "sentence_transformer/modules/pooling.py",
    "Dense": "base/modules/dense.py",
    "Normalize": "base/modules/normalize.py",
    "LayerNorm": "sentence_transformer/modules/layer_norm.py",
    "Dropout": "sentence_transformer/modules/dropout.py",
    "SpladePooling": "sparse_encoder/modules/splade_pooling.py",
}

_METHODS = {"to_dict", "to_diff_dict", "get_text_config", "from_dict", "update"}


def collect(model_types: Iterable[str]) -> dict[str, Any]:
    """The versions, and the sorted fields of each family and of each module.

    model_types: families with a class in transformers.
    """
    versions = ("transformers", "sentence-transformers")
    return {name: importlib.metadata.version(name) for name in versions} | {
        "families": {name: sorted(_family_fields(name)) for name in model_types},
        "modules": {name: sorted(_module_fields(name, file)) for name, file in MODULES.items()},
    }


def _family_fields(model_type: str) -> set[str]:
    name = model_type.replace("-", "_")
    root = _root("transformers")
    named = list(root.glob(f"models/*/configuration_{name}.py"))
    [configuration] = named or _declaring(model_type)
    modeling = configuration.with_name(configuration.name.replace("configuration_", "modeling_"))
    classes = [
        node
        for file in (configuration, root / "configuration_utils.py")
        for node in ast.parse(file.read_text(encoding="utf-8")).body
        if isinstance(node, ast.ClassDef) and _model_type(node) in ("", model_type)
    ]
    fields = {field for node in classes for field in _declared(node)}
    for file in (configuration, modeling):
        fields |= set(_reads(ast.parse(file.read_text(encoding="utf-8"))))
    return {field for field in fields - _METHODS if not field.startswith("_")}


def _declaring(model_type: str) -> list[Path]:
    """The configuration files, named after another family, that have a config of this type."""
    line = f'model_type = "{model_type}"'
    files = _root("transformers").glob("models/*/configuration_*.py")
    return [file for file in files if line in file.read_text(encoding="utf-8")]


def _model_type(node: ast.ClassDef) -> str | None:
    """The model type of a config class; "" for the base class, None for a part of a config."""
    for line in node.body:
        match line:
            case (
                ast.Assign(targets=[ast.Name(id="model_type")], value=ast.Constant(value=str(name)))
                | ast.AnnAssign(
                    target=ast.Name(id="model_type"), value=ast.Constant(value=str(name))
                )
            ):
                return name
    return None


def _declared(config: ast.ClassDef) -> Iterator[str]:
    """The fields that a config class declares, and the other names of some."""
    for node in config.body:
        match node:
            case ast.AnnAssign(target=ast.Name(id=name), annotation=kind):
                if "ClassVar" not in ast.unparse(kind):
                    yield name
            case ast.Assign(targets=[ast.Name(id="attribute_map")], value=ast.Dict(keys=keys)):
                yield from _texts(keys)


def _reads(tree: ast.AST) -> Iterator[str]:
    """The attributes that code reads from something called config, also by `getattr`."""
    for node in ast.walk(tree):
        match node:
            case ast.Attribute(value=value, attr=name) if _is_config(value):
                yield name
            case ast.Call(
                func=ast.Name(id="getattr" | "hasattr"),
                args=[value, ast.Constant(value=str(name)), *_],
            ) if _is_config(value):
                yield name


def _is_config(node: ast.expr) -> bool:
    match node:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return re.fullmatch(r"(\w+_)?config", name) is not None
        case _:
            return False


def _module_fields(name: str, file: str) -> set[str]:
    """The fields that a module saves, those that it reads by older names, and its arguments."""
    tree = ast.parse((_root("sentence_transformers") / file).read_text(encoding="utf-8"))
    [module] = [n for n in tree.body if isinstance(n, ast.ClassDef) and n.name == name]
    fields: set[str] = set()
    for node in module.body:
        match node:
            case (
                ast.Assign(targets=[ast.Name(id=target)], value=value)
                | ast.AnnAssign(target=ast.Name(id=target), value=ast.expr() as value)
            ) if target.startswith("config_key"):
                keys = value.keys if isinstance(value, ast.Dict) else getattr(value, "elts", [])
                fields |= set(_texts(keys))
            case ast.FunctionDef(name="__init__", args=arguments):
                fields |= {a.arg for a in (*arguments.args[1:], *arguments.kwonlyargs)}
    return fields


def _texts(nodes: Iterable[ast.expr | None]) -> Iterator[str]:
    for node in nodes:
        match node:
            case ast.Constant(value=str(text)):
                yield text


def _root(package: str) -> Path:
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError(package)
    return Path(spec.origin).parent


def main() -> None:
    """Write the lists."""
    from bothways.checkpoints.families import FAMILIES

    in_transformers = [name for name, family in FAMILIES.items() if family.in_transformers]
    LISTS.write_text(json.dumps(collect(in_transformers), indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
