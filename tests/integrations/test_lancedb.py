"""LanceDB: a table with a source column, opened again."""

import json
from pathlib import Path

import numpy as np
import pytest

import bothways
from bothways.errors import CheckpointError

pytest.importorskip(
    "lancedb", reason="lancedb is not installed; make test-integrations installs it"
)

import lancedb
from lancedb.embeddings import EmbeddingFunctionRegistry
from lancedb.pydantic import LanceModel, Vector

from bothways.integrations.lancedb import BothwaysFunction

TEXTS = ["a river bank", "the loan", "the shore"]


def test_a_table_is_opened_again_with_its_model(
    folder: Path, other_folder: Path, tmp_path: Path
) -> None:
    function = BothwaysFunction.create(model=str(folder))

    class Notes(LanceModel):
        text: str = function.SourceField()
        vector: Vector(function.ndims()) = function.VectorField()  # type: ignore[valid-type]

    table = lancedb.connect(tmp_path).create_table("notes", schema=Notes)
    table.add([{"text": text} for text in TEXTS])
    table = lancedb.connect(tmp_path).open_table("notes")
    found = table.search("a shore").limit(3).to_list()
    encoder = bothways.load(folder)
    vectors, query = encoder.encode(TEXTS, role="document"), encoder.encode("a shore", role="query")
    distances = np.square(vectors - query).sum(axis=1)
    assert [row["text"] for row in found] == [TEXTS[i] for i in distances.argsort()]
    assert [row["_distance"] for row in found] == pytest.approx(sorted(distances), rel=1e-5)

    stored = json.loads(table.schema.metadata[b"embedding_functions"])
    assert stored[0]["model"]["fingerprint"] == encoder.fingerprint
    stored[0]["model"]["model"] = str(other_folder)
    metadata = {b"embedding_functions": json.dumps(stored).encode()}
    with pytest.raises(CheckpointError, match="they cannot be compared"):
        EmbeddingFunctionRegistry.get_instance().parse_functions(metadata)


def test_queries_and_sources_have_their_prompts(folder: Path) -> None:
    function = BothwaysFunction.create(model=str(folder), dimensions=4)
    encoder = bothways.load(folder)
    (query,) = function.compute_query_embeddings_with_retry("a shore")
    assert query.tolist() == encoder.encode("a shore", role="query", dimensions=4).tolist()
    sources = function.compute_source_embeddings_with_retry(TEXTS)
    assert sources[1].tolist() == encoder.encode(TEXTS[1], role="document", dimensions=4).tolist()
