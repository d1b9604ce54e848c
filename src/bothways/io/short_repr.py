"""Short representations of dataclasses with large fields."""

import dataclasses
import reprlib
from typing import Any

__all__ = ["ShortRepr"]


class _Repr(reprlib.Repr):
    """Arrays by data type and shape; a few items of a list, a few characters of a text."""

    def __init__(self) -> None:
        super().__init__()
        self.maxlist = self.maxtuple = self.maxdict = 4
        self.maxstring = self.maxother = 60

    def repr_ndarray(self, array: Any, _level: int) -> str:
        return f"{array.dtype} {array.shape}"


_short = _Repr()


class ShortRepr:
    """A dataclass whose representation names its fields, with the shapes of arrays.

    For classes that are declared with `dataclass(repr=False)`.

    >>> @dataclasses.dataclass(repr=False)
    ... class Labels(ShortRepr):
    ...     labels: list[str]
    >>> Labels(["a", "b", "c", "d", "e", "f"])
    Labels(labels=['a', 'b', 'c', 'd', ...])
    """

    def __repr__(self) -> str:
        instance: Any = self
        fields = (
            f"{field.name}={_short.repr(getattr(self, field.name))}"
            for field in dataclasses.fields(instance)
            if field.repr
        )
        return f"{type(self).__name__}({', '.join(fields)})"
