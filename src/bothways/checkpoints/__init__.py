"""Model folders of bothways and of other libraries: found, read and written, and never run."""

from bothways.checkpoints.export import export
from bothways.checkpoints.folder import (
    Dense,
    DenseActivation,
    ModelFolder,
    Normalize,
    Pooling,
    fingerprint,
    read_folder,
)
from bothways.checkpoints.sources import ALIASES, Alias, PullProgress, pull, resolve

__all__ = [
    "ALIASES",
    "Alias",
    "Dense",
    "DenseActivation",
    "ModelFolder",
    "Normalize",
    "Pooling",
    "PullProgress",
    "export",
    "fingerprint",
    "pull",
    "read_folder",
    "resolve",
]
