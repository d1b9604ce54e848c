"""The view of vectors: a map, on which near points have similar vectors."""

from bothways.views.map.columns import MapColumn
from bothways.views.map.placement import map
from bothways.views.map.results import VectorMap

__all__ = ["MapColumn", "VectorMap", "map"]
