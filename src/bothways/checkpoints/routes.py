"""Routes: the sides of a sentence-transformers folder with a Router, such as query and document.

The module `Router` (`Asym` before release 5) has a list of modules for each route, and rules that
choose a route by the task of a call and by the kind of its inputs, which are texts here.
"""

import ast
import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from bothways.checkpoints.json_fields import Fields
from bothways.checkpoints.weight_files import inside
from bothways.errors import CheckpointError, InputError
from bothways.io.json_files import brief, has_file, read_object

__all__ = ["ROUTER_FILES", "Router", "Routes", "read_router"]

ROUTER_FILES = ("router_config.json", "config.json")
"""Possible files of a Router's settings, the second of releases before 5."""

_TEXT = "text"

Rule = tuple[str | None, str | tuple[str, ...] | None]
"""A task and a kind of input, None for any, that a route is for."""


@dataclasses.dataclass(frozen=True)
class Routes:
    """The routes of a folder, and the rules that choose one.

    file: the settings that name them, for messages. names: in the order of the file.
    default: the one that is used without a task; None if a task is needed.
    rules: the route of a task and a kind of input, which come before names.
    """

    file: str
    names: tuple[str, ...]
    default: str | None = None
    rules: Mapping[Rule, str] = dataclasses.field(default_factory=dict)

    def check(self, name: str) -> str:
        """The name of a route.

        Raises:
            InputError: if there is none of this name.
        """
        if name not in self.names:
            raise InputError(f"route={brief(name)}: expected one of {self._named()}")
        return name

    def of_task(self, task: str | None) -> str:
        """The route of texts of a task, such as `query`; None for the default route.

        In the order of sentence-transformers 6: rules for the task and texts, for the task, for
        texts, and for everything; then a route called as the task, and one called `text`.

        Raises:
            InputError: if there is none.
        """
        for rule in ((task, _TEXT), (task, None), (None, _TEXT), (None, None)):
            if rule in self.rules:
                return self.rules[rule]
        if task is not None and task in self.names:
            return task
        if _TEXT in self.names:
            return _TEXT
        if task is not None:
            raise InputError(f"{self.file}: no route for {task!r}; the routes are {self._named()}")
        if self.default is None:
            raise InputError(
                f"{self.file}: the model has the routes {self._named()}, and none is the default: "
                "choose one with route= (--route), or the role of a call"
            )
        return self.default

    def _named(self) -> str:
        return ", ".join(map(repr, self.names))


class Router(NamedTuple):
    """The routes of a Router, and the modules of each: the name of its type, and its folder."""

    routes: Routes
    modules: Mapping[str, tuple[tuple[str, Path], ...]]


def read_router(folder: Path) -> Router:
    """Read the settings of a Router.

    Raises:
        CheckpointError: if they are missing or malformed, or a path leaves the folder.
    """
    file = next((folder / name for name in ROUTER_FILES if has_file(folder / name)), None)
    if file is None:
        raise CheckpointError(f"{folder / ROUTER_FILES[0]}: no such file, and the Router needs it")
    fields = Fields(read_object(file), str(file))
    types, parameters = fields.texts("types"), fields.object("parameters")
    paths = {name: inside(folder, name, file) for name in types}
    modules: dict[str, tuple[tuple[str, Path], ...]] = {}
    for route, names in fields.mapping("structure").items():
        if not isinstance(names, list) or not names or not set(map(str, names)) <= types.keys():
            raise CheckpointError(
                f"{file}: structure: {brief(route)}={brief(names)}: expected a list of names that "
                f"`types` has: {', '.join(map(brief, types))}"
            )
        modules[route] = tuple((types[name], paths[name]) for name in map(str, names))
    if not modules:
        raise CheckpointError(f"{file}: structure: expected at least one route")
    return Router(_routes(parameters, tuple(modules)), modules)


def _routes(parameters: Fields, names: tuple[str, ...]) -> Routes:
    default = parameters.one_of("default_route", names)
    if default is None and parameters.flag("allow_empty_key", True):
        default = names[0]
    mappings = parameters.mapping("route_mappings") if parameters.raw("route_mappings") else {}
    rules = {}
    for key, route in mappings.items():
        rule = _rule(key)
        if rule is None or route not in names:
            raise CheckpointError(
                f"{parameters.file}: route_mappings: {brief(key)}: {brief(route)}: expected a "
                f"task and a kind of input, such as \"('query', 'text')\", and one of "
                f"{', '.join(map(repr, names))}"
            )
        rules[rule] = str(route)
    return Routes(parameters.file.rpartition(": ")[0], names, default, rules)


def _rule(text: str) -> Rule | None:
    """The pair that a string writes in the syntax of Python; None if it writes something else."""
    try:
        value: Any = ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return None
    if not isinstance(value, tuple) or len(value) != 2 or not isinstance(value[0], str | None):
        return None
    task, kind = value
    if isinstance(kind, tuple) and all(isinstance(name, str) for name in kind):
        return task, tuple(sorted(kind))
    return (task, kind) if isinstance(kind, str | None) else None
