"""JavaScript modules joined to one script, as a page has no other files."""

import re
from importlib.resources.abc import Traversable

__all__ = ["join_modules"]

_IMPORT = re.compile(r'^import \{([^}]*)\} from "(\.\.?/[^"]+)";\n', re.MULTILINE)
_ANY_IMPORT = re.compile(r"^import\b", re.MULTILINE)
_EXPORT = re.compile(r"^export (?=(?:async )?(?:function|const|class) (\w+))", re.MULTILINE)


def join_modules(*entries: Traversable) -> str:
    """The modules and those that they import, each once and after its imports, as one script.

    A module imports by name and relative path (`import { a } from "./b.js";`), and exports
    functions, constants and classes where it declares them. Each keeps a scope of its own.

    Raises:
        ValueError: if a module imports otherwise, or itself by way of others.
    """
    joined: dict[Traversable, str] = {}
    for entry in entries:
        _add(_resolve(entry, "."), joined, ())
    return '"use strict";\n' + "".join(joined.values())


def _add(
    module: Traversable, joined: dict[Traversable, str], importing: tuple[Traversable, ...]
) -> None:
    if module in importing:
        raise ValueError(f"{module.name} imports itself by way of {importing[-1].name}")
    if module in joined:
        return
    source = module.read_text(encoding="utf-8")
    imports = []
    for names, path in _IMPORT.findall(source):
        if " as " in names:
            raise ValueError(f"{module.name}: import the names of {path} as they are")
        imported = _resolve(module, f"../{path}")
        _add(imported, joined, (*importing, module))
        place = list(joined).index(imported)
        imports.append(f"const {{ {' '.join(names.split())} }} = module{place};\n")
    body = _IMPORT.sub("", source)
    if _ANY_IMPORT.search(body):
        raise ValueError(f"{module.name}: an import is not of names from a relative path")
    exports = ", ".join(_EXPORT.findall(body))
    joined[module] = (
        f"const module{len(joined)} = (() => {{\n{''.join(imports)}{_EXPORT.sub('', body)}"
        f"return {{ {exports} }};\n}})();\n"
    )


def _resolve(module: Traversable, path: str) -> Traversable:
    """The file at a path relative to another."""
    resolve = getattr(module.joinpath(path), "resolve", None)
    if resolve is None:
        raise ValueError(f"{module.name}: bothways must be installed as files, not in an archive")
    resolved: Traversable = resolve()
    return resolved
