"""Vectors from a folder of .parquet files into Qdrant."""

import uuid
from pathlib import Path

import pyarrow.parquet as pq
from qdrant_client import QdrantClient, models

from bothways import Encoder
from bothways.files import read_origin
from databases.origins import check_encoder, check_origin, dump_origin

__all__ = ["count", "create", "load", "query"]


def create(client: QdrantClient, folder: str) -> None:
    """Create the collection for the vectors of a folder; its metadata has their origin."""
    origin = read_origin(folder)
    vectors = models.VectorParams(size=origin.dimensions, distance=models.Distance.COSINE)
    client.create_collection(
        "reviews", vectors_config=vectors, metadata={"origin": dump_origin(origin)}
    )


def stored_origin(client: QdrantClient) -> str:
    """The origin of the vectors in the collection."""
    metadata = client.get_collection("reviews").config.metadata or {}
    return str(metadata["origin"])


def load(client: QdrantClient, folder: str) -> None:
    """Add the rows of a folder, or replace those with the same ids, which become UUIDs."""
    check_origin(stored_origin(client), read_origin(folder), "reviews")
    for part in sorted(Path(folder).glob("*.parquet")):
        file = pq.ParquetFile(part)
        for batch in file.iter_batches(1000, columns=["id", "text", "vector"]):
            rows = batch.to_pylist()
            points = [
                models.PointStruct(
                    id=str(uuid.uuid5(uuid.NAMESPACE_OID, row["id"])),
                    vector=row["vector"],
                    payload={"id": row["id"], "text": row["text"]},
                )
                for row in rows
            ]
            client.upsert("reviews", points)


def query(client: QdrantClient, encoder: Encoder, text: str, k: int) -> list[tuple[str, float]]:
    """The ids of the `k` rows nearest to a text, and their cosines."""
    check_encoder(stored_origin(client), encoder)
    vector = encoder.encode(text, role="query").tolist()
    points = client.query_points("reviews", vector, limit=k).points
    return [((point.payload or {})["id"], point.score) for point in points]


def count(client: QdrantClient) -> int:
    """The number of points."""
    return int(client.count("reviews").count)
