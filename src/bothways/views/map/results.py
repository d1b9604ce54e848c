"""What `bothways.map` returns: the numbers, and the page that shows them.

n points; k neighbors.
"""

import dataclasses
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bothways.errors import InputError
from bothways.files.formats import require_parquet
from bothways.io.atomic import atomic_file
from bothways.io.short_repr import ShortRepr
from bothways.views.map.columns import MISSING, OTHERS, MapColumn
from bothways.views.map_options import Projection
from bothways.views.page_file import PageView

if TYPE_CHECKING:
    import pyarrow as pa

    from bothways.pages import Page

__all__ = ["VectorMap", "check_columns_name"]


@dataclasses.dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class VectorMap(PageView, ShortRepr):
    """Vectors as points on a map: the numbers as arrays, and a page.

    `save(path)` writes the page, one HTML file that needs no network; a notebook shows it.

    coordinates: float32 (n, 2). rows: the number of each point in the file, from 0, int64 (n,).
    total: number of rows, from which the points were drawn. ids, texts: of the points.
    clusters: int64 (n,), counted from 0, the largest first. labels: of the clusters.
    neighbors, cosines: int64 and float32 (n, k): the points whose vectors have the largest cosine
        with that of each point, nearest first.
    kept: float64 (n,): the share of these neighbors that are among the k nearest on the map.
    trustworthiness: from 0 to 1, over at most 1,000 points (Venna and Kaski 2001).
    projection: `pca` or `umap`. shares: of the variance along both axes, float64 (2,), for `pca`.
    columns: by which points are colored. model: that made the vectors, if that is known.
    """

    coordinates: np.ndarray
    rows: np.ndarray
    total: int
    ids: list[str]
    texts: list[str | None]
    clusters: np.ndarray
    labels: list[str]
    neighbors: np.ndarray
    cosines: np.ndarray
    kept: np.ndarray
    trustworthiness: float
    projection: Projection
    shares: np.ndarray | None
    columns: tuple[MapColumn, ...] = ()
    model: str | None = None
    title: str = "Map of vectors"

    def __len__(self) -> int:
        return len(self.rows)

    def page(self) -> "Page":
        """The page, before it is written."""
        from bothways.views.map.page import map_page

        return map_page(self)

    def save_columns(self, path: str | PathLike[str]) -> Path:
        """Write the points as Parquet, which other programs draw; return its path.

        The columns are row, id, text, projection_x, projection_y, neighbors (with ids, the numbers
        of points from 0, and distances, 1 less the cosine), cluster, kept, and `columns`.

        Raises:
            InputError: if the name does not end in .parquet.
            DataFileError: if the file cannot be written.
            MissingExtra: if pyarrow is not installed.
        """
        path = Path(path)
        check_columns_name(path)
        require_parquet(str(path))
        import pyarrow.parquet as pq

        with atomic_file(path) as hidden:
            pq.write_table(self._table(), hidden, compression="zstd")
        return path

    def _table(self) -> "pa.Table":
        import pyarrow as pa

        rows, k = self.neighbors.shape
        offsets: Any = pa.array(np.arange(0, rows * k + 1, k, dtype=np.int32))
        ids = pa.ListArray.from_arrays(offsets, pa.array(self.neighbors.ravel()))
        distances = pa.ListArray.from_arrays(offsets, pa.array(1 - self.cosines.ravel()))
        columns: dict[str, object] = {
            "row": self.rows,
            "id": self.ids,
            "text": pa.array(self.texts, pa.string()),
            "projection_x": self.coordinates[:, 0],
            "projection_y": self.coordinates[:, 1],
            "neighbors": pa.StructArray.from_arrays([ids, distances], ["ids", "distances"]),
            "cluster": [self.labels[cluster] for cluster in self.clusters.tolist()],
            "kept": self.kept,
        }
        for column in self.columns:
            name = column.name
            while name in columns:  # as pandas names a second column
                name += "_1"
            columns[name] = _values(column)
        return pa.table(columns)


def check_columns_name(path: Path) -> None:
    """Check the name of a file for columns.

    Raises:
        InputError: if it does not end in .parquet.
    """
    if path.suffix.lower() != ".parquet":
        raise InputError(f"{path}: columns are written as Parquet; choose a name with .parquet")


def _values(column: MapColumn) -> Any:
    import pyarrow as pa

    match column.kind:
        case "number":
            return pa.array(column.values, from_pandas=True)
        case "date":
            milliseconds = np.where(np.isnan(column.values), 0, column.values) * 86_400_000
            return pa.array(milliseconds.astype("datetime64[ms]"), mask=np.isnan(column.values))
        case "category":
            names = dict(enumerate(column.categories)) | {OTHERS: "(other)", MISSING: None}
            return pa.array([names[code] for code in column.values.tolist()], pa.string())
