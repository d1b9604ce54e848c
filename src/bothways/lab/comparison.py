"""The interface of a comparison: run an experiment, then turn its result into report sections."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Generic, Protocol, TypeVar

from bothways.lab.report.content import PageSection
from bothways.lab.settings import Scale

__all__ = ["Comparison", "ComparisonProgress", "ComparisonResult", "progress_within"]

ComparisonProgress = Callable[[str, float], None]
"""Called with the current activity and the completed fraction of all work, from 0 to 1."""


def progress_within(
    progress: ComparisonProgress, activity: str, start: float, size: float
) -> Callable[[float], None]:
    """A callback for one part of the work, which takes the completed fraction of that part.

    start, size: where the part starts and how long it is, as fractions of all work.
    """

    def report(fraction: float) -> None:
        progress(activity, start + fraction * size)

    return report


S = TypeVar("S")


class ComparisonResult(Protocol):
    """The numbers that a comparison measured, for every seed."""

    def to_dict(self) -> dict[str, Any]:
        """The numbers as JSON values."""
        ...


R = TypeVar("R", bound=ComparisonResult)


@dataclasses.dataclass(frozen=True)
class Comparison(Generic[S, R]):
    """One comparison.

    presets: the settings of each scale, a dataclass whose fields the command line can override.
    sections: of the report; the first paragraph of the first section states the main finding.
    """

    title: str
    presets: Mapping[Scale, S]
    run: Callable[[S, ComparisonProgress], R]
    sections: Callable[[R], Sequence[PageSection]]
