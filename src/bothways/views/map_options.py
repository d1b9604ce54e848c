"""What the command line says about maps, without the modules that make them."""

from typing import Literal

__all__ = ["MAX_POINTS", "Projection"]

Projection = Literal["pca", "umap"]
"""How vectors are placed on the plane: by principal components, or by UMAP."""

MAX_POINTS = 100_000
"""Most points of a map."""
