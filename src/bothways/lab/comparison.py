"""What a comparison is: settings in, raw results out, and the sections of a report made of them.

Each has a file of its own; `find` gives them by the names that the command line knows.
"""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Generic, Protocol, TypeVar, assert_never

from bothways.lab.registry import Scale, Subject
from bothways.lab.report.writer import Section

__all__ = ["Comparison", "Progress", "Result", "find", "part"]

Progress = Callable[[str, float], None]
"""Called with what is being done, and the share of all the work that is done, from 0 to 1."""


def part(progress: Progress, what: str, begin: float, size: float) -> Callable[[float], None]:
    """Tells `progress` the share of a part of the work as a share of all: from `begin` on."""

    def told(share: float) -> None:
        progress(what, begin + share * size)

    return told


S = TypeVar("S")


class Result(Protocol):
    """What a comparison found: raw numbers, with every seed."""

    def to_dict(self) -> dict[str, Any]:
        """The numbers as JSON knows them."""
        ...


R = TypeVar("R", bound=Result)


@dataclasses.dataclass(frozen=True)
class Comparison(Generic[S, R]):
    """One comparison.

    settings: a dataclass for each scale, whose fields the command line's options replace.
    sections: what the report shows; the first paragraph of the first one is the main finding.
    """

    title: str
    settings: Mapping[Scale, S]
    run: Callable[[S, Progress], R]
    sections: Callable[[R], Sequence[Section]]


def find(name: Subject) -> Comparison[Any, Any]:
    """The comparison of that name; the others are not imported."""
    match name:
        case "ablation":
            from bothways.lab.comparisons.ablation import report as ablation

            return ablation.COMPARISON
        case "bottleneck":
            from bothways.lab.comparisons.bottleneck import report as bottleneck

            return bottleneck.COMPARISON
        case "distance":
            from bothways.lab.comparisons.distance import report as distance

            return distance.COMPARISON
        case "data":
            from bothways.lab.comparisons.data import report as data

            return data.COMPARISON
        case "speed":
            from bothways.lab.comparisons.speed import report as speed

            return speed.COMPARISON
        case unknown:
            assert_never(unknown)
