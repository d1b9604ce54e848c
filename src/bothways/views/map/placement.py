"""Placing vectors on a map."""

import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any, get_args

import numpy as np

from bothways.errors import InputError
from bothways.files.nearest import normalize
from bothways.search import default_scan
from bothways.views.map.clusters import cluster_vectors, default_clusters, label_clusters
from bothways.views.map.neighbors import nearest_by_cosine, nearest_on_map, trustworthiness
from bothways.views.map.projection import (
    principal_components,
    project_umap,
    require_umap,
)
from bothways.views.map.results import VectorMap
from bothways.views.map.sources import MapPoints, read_arrays, read_file
from bothways.views.map_options import MAX_POINTS, Projection

__all__ = ["NEIGHBORS", "MapProgress", "map"]

NEIGHBORS = 15
"""Number of neighbors of each point."""

MapProgress = Callable[[float], None]
"""Called with the completed fraction of the work."""

_COMPONENTS = 50
"""Principal components in which clusters are made."""

_TRUST_POINTS = 1000


def map(
    vectors: Any,
    *,
    texts: Sequence[str | None] | None = None,
    ids: Sequence[Any] | None = None,
    color: str | Sequence[str] | Mapping[str, Sequence[Any]] = (),
    projection: Projection = "pca",
    clusters: int | None = None,
    points: int = MAX_POINTS,
    seed: int = 0,
    title: str = "Map of vectors",
    progress: MapProgress | None = None,
) -> VectorMap:
    """Place vectors on a map, on which near points have similar vectors, as far as a plane can.

    vectors: the path of a file or folder that `bothways encode` wrote, or of another with a column
        `vector`; or an array (n, d), or what `encode_detailed` returns.
    texts, ids: of the vectors of an array; a file has its own.
    color: of a file, the names of the columns to color by; of an array, the values by name.
    projection: `pca`, principal components, or `umap`.
    clusters: how many (default: the square root of half the number of points, at most 40).
    points: most points of the map; more rows are drawn from at random, by `seed`.
    progress: called with the completed fraction.

    Vectors are compared by their cosines: their lengths do not matter.

    Raises:
        InputError: if an argument is invalid, or there are fewer than 3 vectors.
        DataFileError: if the file is damaged or has no such column.
        MissingExtra: for `umap`, without umap-learn; for .parquet, without pyarrow.
    """
    _check(projection, clusters, points)
    if isinstance(vectors, str | os.PathLike):
        if texts is not None or ids is not None or isinstance(color, Mapping):
            raise InputError("texts, ids and values of color are for arrays; a file has its own")
        names = (color,) if isinstance(color, str) else tuple(dict.fromkeys(color))
        source = read_file(vectors, names, points, seed)
    else:
        if not isinstance(color, Mapping):
            if color:
                raise InputError("color: of an array, expected values by name")
            color = {}
        source = read_arrays(vectors, ids, texts, color, points, seed)
    return _place(source, projection, clusters, seed, title, progress or (lambda _: None))


def _check(projection: str, clusters: int | None, points: int) -> None:
    if projection not in get_args(Projection):
        raise InputError(f"projection {projection!r}: expected pca or umap")
    if projection == "umap":
        require_umap()
    if clusters is not None and not 1 <= clusters <= 250:
        raise InputError(f"clusters: {clusters}; expected 1 to 250")
    if not 3 <= points <= MAX_POINTS:
        raise InputError(f"points: {points}; expected 3 to {MAX_POINTS:,}")


def _place(
    source: MapPoints,
    projection: Projection,
    clusters: int | None,
    seed: int,
    title: str,
    progress: MapProgress,
) -> VectorMap:
    count = len(source.rows)
    if count < 3:
        raise InputError(f"a map needs at least 3 vectors, and there are {count}")
    vectors = normalize(source.vectors)
    scan = default_scan()
    k = min(NEIGHBORS, count - 1)
    neighbors = nearest_by_cosine(vectors, k, scan, lambda fraction: progress(0.8 * fraction))
    components = principal_components(vectors, _COMPONENTS, seed)
    chosen = min(count, default_clusters(count) if clusters is None else clusters)
    numbers = cluster_vectors(components.coordinates, chosen, seed)
    shares = None
    if projection == "umap":
        coordinates = project_umap(vectors, neighbors, seed)
    else:
        coordinates, shares = components.coordinates[:, :2], components.shares[:2]
    progress(0.9)
    on_map = nearest_on_map(coordinates, k)
    stays = (neighbors.indices[:, :, None] == on_map[:, None]).any(axis=2)
    sample = np.random.default_rng(seed).permutation(count)[:_TRUST_POINTS]
    trust = trustworthiness(vectors, on_map, neighbors, sample, scan)
    progress(1.0)
    return VectorMap(
        coordinates=np.ascontiguousarray(coordinates),
        rows=source.rows,
        total=source.total,
        ids=source.ids,
        texts=source.texts,
        clusters=numbers,
        labels=label_clusters(numbers, source.texts),
        neighbors=neighbors.indices,
        cosines=neighbors.cosines,
        kept=stays.mean(axis=1),
        trustworthiness=trust,
        projection=projection,
        shares=shares,
        columns=source.columns,
        model=source.model,
        title=title,
    )
