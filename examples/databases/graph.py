"""Vectors from a folder of .parquet files into a FAISS index, in a file."""

import json
from pathlib import Path
from typing import Any

import faiss
import numpy as np

from bothways import Encoder
from bothways.files import open_vector_file, read_origin
from databases.origins import check_encoder, dump_origin

__all__ = ["build", "query"]


def build(folder: str, path: str) -> None:
    """Write an index of the vectors of a folder, and beside it their origin and ids."""
    origin = read_origin(folder)
    graph = faiss.IndexHNSWFlat(origin.dimensions, 32, faiss.METRIC_INNER_PRODUCT)
    with open_vector_file(folder) as file:
        for batch in file.batches():
            vectors = np.ascontiguousarray(batch)
            faiss.normalize_L2(vectors)  # the inner product is then the cosine
            graph.add(vectors)
        ids = list(file.read_column("id"))
    faiss.write_index(graph, path)
    facts = {"origin": dump_origin(origin), "ids": ids}
    Path(f"{path}.json").write_text(json.dumps(facts), encoding="utf-8")


def query(path: str, encoder: Encoder, text: str, k: int) -> list[tuple[str, float]]:
    """The ids of the `k` rows nearest to a text, and their cosines."""
    facts: dict[str, Any] = json.loads(Path(f"{path}.json").read_text(encoding="utf-8"))
    check_encoder(facts["origin"], encoder)
    vectors = encoder.encode([text], role="query")
    faiss.normalize_L2(vectors)
    scores, rows = faiss.read_index(path).search(vectors, k)
    return [(facts["ids"][row], score) for row, score in zip(rows[0], scores[0], strict=True)]
