"""JavaScript modules joined to one script, as a page has no other files."""

import re
from importlib.resources.abc import Traversable

__all__ = ["join_modules"]

_IMPORT = re.compile(r'^import \{([^}]*)\} from "(\.\.?/[^"]+)";\n', re.MULTILINE)
_ANY_IMPORT = re.compile(r"^import\b", re.MULTILINE)
_EXPORT = re.compile(r"^export (?=(async )?function|const|class)", re.MULTILINE)


def join_modules(*entries: Traversable) -> str:
    """The modules and those that they import, each once and after its imports, as one script.

    A module imports by name and relative path (`import { a } from "./b.js";`), and exports
    functions, constants and classes where it declares them. Top-level names are unique.

    Raises:
        ValueError: if a module imports otherwise, or itself by way of others.
    """
    joined: dict[str, str] = {}
    for entry in entries:
        _add(entry, joined, ())
    return '"use strict";\n' + "".join(joined.values())


def _add(module: Traversable, joined: dict[str, str], importing: tuple[str, ...]) -> None:
    if module.name in importing:
        raise ValueError(f"{module.name} imports itself by way of {importing[-1]}")
    if module.name in joined:
        return
    source = module.read_text(encoding="utf-8")
    for names, path in _IMPORT.findall(source):
        if " as " in names:
            raise ValueError(f"{module.name}: import the names of {path} as they are")
        _add(_resolve(module, path), joined, (*importing, module.name))
    body = _IMPORT.sub("", source)
    if _ANY_IMPORT.search(body):
        raise ValueError(f"{module.name}: an import is not of names from a relative path")
    joined[module.name] = _EXPORT.sub("", body)


def _resolve(module: Traversable, path: str) -> Traversable:
    """The module at a path relative to another."""
    parent = getattr(module, "parent", None)
    if parent is None:
        raise ValueError(f"{module.name}: bothways must be installed as files, not in an archive")
    found: Traversable = parent.joinpath(path).resolve()
    return found
