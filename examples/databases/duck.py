"""Vectors from a folder of .parquet files into DuckDB."""

import duckdb

from bothways import Encoder
from bothways.files import read_origin
from databases.origins import check_encoder, check_origin, dump_origin

__all__ = ["count", "create", "load", "query"]


def create(connection: duckdb.DuckDBPyConnection, folder: str) -> None:
    """Create the table for the vectors of a folder; the comment of the column is their origin."""
    origin = read_origin(folder)
    connection.execute(
        f"CREATE TABLE reviews (id TEXT PRIMARY KEY, text TEXT, vector FLOAT[{origin.dimensions}])"
    )
    comment = dump_origin(origin).replace("'", "''")
    connection.execute(f"COMMENT ON COLUMN reviews.vector IS '{comment}'")


def stored_origin(connection: duckdb.DuckDBPyConnection) -> str:
    """The origin of the vectors in the table."""
    (origin,) = connection.execute(
        "SELECT comment FROM duckdb_columns() "
        "WHERE table_name = 'reviews' AND column_name = 'vector'"
    ).fetchone() or (None,)
    return str(origin)


def load(connection: duckdb.DuckDBPyConnection, folder: str) -> None:
    """Add the rows of a folder, or replace those with the same ids."""
    check_origin(stored_origin(connection), read_origin(folder), "reviews")
    connection.execute(
        "INSERT OR REPLACE INTO reviews SELECT id, text, vector FROM read_parquet(?)",
        [f"{folder}/*.parquet"],
    )


def query(
    connection: duckdb.DuckDBPyConnection, encoder: Encoder, text: str, k: int
) -> list[tuple[str, float]]:
    """The ids of the `k` rows nearest to a text, and their cosines; all rows are compared."""
    check_encoder(stored_origin(connection), encoder)
    vector = encoder.encode(text, role="query")
    rows = connection.execute(
        f"SELECT id, array_cosine_similarity(vector, ?::FLOAT[{len(vector)}]) AS score "  # noqa: S608
        "FROM reviews ORDER BY score DESC LIMIT ?",
        [vector.tolist(), k],
    )
    return list(rows.fetchall())


def count(connection: duckdb.DuckDBPyConnection) -> int:
    """The number of rows."""
    (rows,) = connection.execute("SELECT count(*) FROM reviews").fetchone() or (0,)
    return int(rows)
