"""Vectors from a folder of .parquet files into PostgreSQL with pgvector."""

from pathlib import Path
from typing import Any

import psycopg
import pyarrow.parquet as pq
from pgvector.psycopg import register_vector

from bothways import Encoder
from bothways.files import read_origin
from databases.origins import check_encoder, check_origin, dump_origin

__all__ = ["connect", "count", "create", "index", "load", "query"]


def connect(uri: str) -> psycopg.Connection[Any]:
    """A connection that reads and writes vectors as NumPy arrays."""
    connection = psycopg.connect(uri, autocommit=True)
    connection.execute("CREATE EXTENSION IF NOT EXISTS vector")
    register_vector(connection)
    return connection


def create(connection: psycopg.Connection[Any], folder: str) -> None:
    """Create the table for the vectors of a folder; the comment of the column is their origin."""
    origin = read_origin(folder)
    connection.execute(
        "CREATE TABLE reviews (id text PRIMARY KEY, text text, "
        f"vector vector({origin.dimensions}) NOT NULL)"
    )
    comment = psycopg.sql.Literal(dump_origin(origin))
    connection.execute(psycopg.sql.SQL("COMMENT ON COLUMN reviews.vector IS {}").format(comment))


def stored_origin(connection: psycopg.Connection[Any]) -> str:
    """The origin of the vectors in the table."""
    (origin,) = connection.execute(
        "SELECT col_description('reviews'::regclass, attnum) FROM pg_attribute "
        "WHERE attrelid = 'reviews'::regclass AND attname = 'vector'"
    ).fetchone() or (None,)
    return str(origin)


def load(connection: psycopg.Connection[Any], folder: str) -> None:
    """Add the rows of a folder, or replace those with the same ids: one transaction per file."""
    check_origin(stored_origin(connection), read_origin(folder), "reviews")
    for part in sorted(Path(folder).glob("*.parquet")):
        with connection.transaction(), connection.cursor() as cursor:
            cursor.execute("CREATE TEMP TABLE part (LIKE reviews) ON COMMIT DROP")
            with cursor.copy("COPY part (id, text, vector) FROM STDIN (FORMAT BINARY)") as copy:
                copy.set_types(["text", "text", "vector"])
                for batch in pq.ParquetFile(part).iter_batches(columns=["id", "text", "vector"]):
                    columns = [column.to_numpy(zero_copy_only=False) for column in batch.columns]
                    for row in zip(*columns, strict=True):
                        copy.write_row(row)
            cursor.execute(
                "INSERT INTO reviews SELECT * FROM part ON CONFLICT (id) "
                "DO UPDATE SET text = excluded.text, vector = excluded.vector"
            )


def index(connection: psycopg.Connection[Any]) -> None:
    """Index the vectors, once they are loaded: building while loading takes many times as long."""
    connection.execute("SET maintenance_work_mem = '1GB'")
    connection.execute("CREATE INDEX ON reviews USING hnsw (vector vector_cosine_ops)")


def query(
    connection: psycopg.Connection[Any], encoder: Encoder, text: str, k: int
) -> list[tuple[str, float]]:
    """The ids of the `k` rows nearest to a text, and their cosines."""
    check_encoder(stored_origin(connection), encoder)
    vector = encoder.encode(text, role="query")
    rows = connection.execute(
        "SELECT id, 1 - (vector <=> %(v)s) FROM reviews ORDER BY vector <=> %(v)s LIMIT %(k)s",
        {"v": vector, "k": k},
    )
    return [(row_id, score) for row_id, score in rows]


def count(connection: psycopg.Connection[Any]) -> int:
    """The number of rows."""
    (rows,) = connection.execute("SELECT count(*) FROM reviews").fetchone() or (0,)
    return int(rows)
