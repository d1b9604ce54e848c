"""Arguments as earlier releases of sentence-transformers take them."""

import functools
import inspect
from collections.abc import Callable
from typing import Any, TypeVar, cast

__all__ = ["once_positional", "renamed", "same_signature"]

Function = TypeVar("Function", bound=Callable[..., Any])


def renamed(**names: str) -> Callable[[Function], Function]:
    """Let a function take arguments under earlier names: `renamed(sentences="inputs")`.

    The present name takes precedence if both are given, as in sentence-transformers.
    """

    def decorate(function: Function) -> Function:
        @functools.wraps(function)
        def call(*arguments: Any, **options: Any) -> Any:
            for old, new in names.items():
                if old in options:
                    options.setdefault(new, options.pop(old))
                    options.pop(old, None)
            return function(*arguments, **options)

        return cast(Function, call)

    return decorate


def once_positional(*names: str) -> Callable[[Function], Function]:
    """Let a method take keyword arguments by position, after its first argument."""

    def decorate(method: Function) -> Function:
        @functools.wraps(method)
        def call(self: Any, *arguments: Any, **options: Any) -> Any:
            later = arguments[1:]
            if len(later) <= len(names):  # of too many, the method itself raises
                arguments = arguments[:1]
                options = {**dict(zip(names, later, strict=False)), **options}
            return method(self, *arguments, **options)

        return cast(Function, call)

    return decorate


def same_signature(other: Callable[..., Any]) -> Callable[[Function], Function]:
    """Show the signature of `other`, which a function passes its arguments on to."""

    def decorate(function: Function) -> Function:
        cast(Any, function).__signature__ = inspect.signature(other)
        return function

    return decorate
