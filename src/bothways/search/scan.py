"""The fastest scan that is installed."""

from bothways import native
from bothways.files.nearest import Scan, scan_with_numpy

__all__ = ["default_scan"]


def default_scan() -> Scan:
    """The engine's scan, on all threads, or NumPy's if bothways was installed without the engine.

    Hits and scores are the same.
    """
    return native.scan_vectors if native.is_built() else scan_with_numpy
