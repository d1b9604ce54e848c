"""Vectors from a folder of .parquet files into LanceDB."""

from pathlib import Path
from typing import Any

import lancedb
import pyarrow as pa
import pyarrow.parquet as pq
from lancedb.index import HnswSq

from bothways import Encoder
from bothways.files import read_origin
from databases.origins import check_encoder, check_origin, dump_origin

__all__ = ["count", "create", "index", "load", "query"]

_COLUMNS = ["id", "text", "vector"]


def create(path: str, folder: str) -> Any:
    """Create the table for the vectors of a folder; its metadata has their origin."""
    part = next(Path(folder).glob("*.parquet"))
    columns = [pq.read_schema(part).field(name) for name in _COLUMNS]
    schema = pa.schema(columns, {"bothways.origin": dump_origin(read_origin(folder))})
    return lancedb.connect(path).create_table("reviews", schema=schema)


def stored_origin(table: Any) -> str:
    """The origin of the vectors in the table."""
    return str(table.schema.metadata[b"bothways.origin"].decode())


def load(table: Any, folder: str) -> None:
    """Add the rows of a folder, or replace those with the same ids: one version per file."""
    check_origin(stored_origin(table), read_origin(folder), "reviews")
    for part in sorted(Path(folder).glob("*.parquet")):
        rows = pq.read_table(part, columns=_COLUMNS).replace_schema_metadata()
        upsert = table.merge_insert("id").when_matched_update_all().when_not_matched_insert_all()
        upsert.execute(rows)


def index(table: Any) -> None:
    """Index the vectors. Rows that are added later are searched exactly until `optimize`."""
    table.create_index("vector", config=HnswSq(distance_type="cosine"))


def query(table: Any, encoder: Encoder, text: str, k: int) -> list[tuple[str, float]]:
    """The ids of the `k` rows nearest to a text, and their cosines."""
    check_encoder(stored_origin(table), encoder)
    search = table.search(encoder.encode(text, role="query")).distance_type("cosine")
    # The index has a byte per dimension: the nearest of 10 k candidates are chosen by vectors.
    rows = search.refine_factor(10).limit(k).to_list()
    return [(row["id"], 1 - row["_distance"]) for row in rows]


def count(table: Any) -> int:
    """The number of rows."""
    return int(table.count_rows())
