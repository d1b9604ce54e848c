"""All comparisons by name. A comparison is imported when it is loaded, not before."""

from collections.abc import Mapping
from importlib import import_module
from typing import Any, Literal, assert_never

from bothways.lab.comparison import Comparison
from bothways.lab.settings import Scale

__all__ = ["ComparisonName", "load_comparison", "load_presets"]

ComparisonName = Literal["ablation", "bottleneck", "data", "distance", "speed"]


def load_presets(name: ComparisonName) -> Mapping[Scale, Any]:
    """The settings of a comparison at each scale. Needs neither torch nor matplotlib."""
    presets: Mapping[Scale, Any] = import_module(
        f"bothways.lab.comparisons.{name}.settings"
    ).PRESETS
    return presets


def load_comparison(name: ComparisonName) -> Comparison[Any, Any]:
    """Import one comparison, and none of the others."""
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
