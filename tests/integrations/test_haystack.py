"""Haystack: pipelines that are saved and loaded."""

import asyncio
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import bothways
from bothways.errors import CheckpointError

pytest.importorskip(
    "haystack", reason="haystack is not installed; make test-integrations installs it"
)

from haystack import Document, Pipeline
from haystack.components.retrievers.in_memory import InMemoryEmbeddingRetriever
from haystack.document_stores.in_memory import InMemoryDocumentStore

from bothways.integrations.haystack import (
    BothwaysDocumentEmbedder,
    BothwaysRanker,
    BothwaysTextEmbedder,
)

TEXTS = ["a river bank", "the loan", "the shore"]


def test_a_pipeline_from_a_file_finds_what_encode_finds(folder: Path) -> None:
    documents = [Document(content=text) for text in TEXTS]
    embedded = BothwaysDocumentEmbedder(folder).run(documents)["documents"]
    assert documents[0].embedding is None
    store = InMemoryDocumentStore(embedding_similarity_function="dot_product", index="notes")
    store.write_documents(embedded)
    pipeline = Pipeline()
    pipeline.add_component("query", BothwaysTextEmbedder(folder))
    pipeline.add_component("find", InMemoryEmbeddingRetriever(store, scale_score=False))
    pipeline.connect("query.embedding", "find.query_embedding")
    pipeline = Pipeline.loads(pipeline.dumps(), allowed_modules=["bothways.integrations.haystack"])
    found = pipeline.run({"query": {"text": "a shore"}})["find"]["documents"]
    encoder = bothways.load(folder)
    scores = encoder.encode(TEXTS, role="document") @ encoder.encode("a shore", role="query")
    assert [document.content for document in found] == [TEXTS[i] for i in (-scores).argsort()]


def test_fields_of_meta_are_put_before_the_content(folder: Path) -> None:
    embedder = BothwaysDocumentEmbedder(
        folder, meta_fields_to_embed=["title"], embedding_separator=" "
    )
    embedder = BothwaysDocumentEmbedder.from_dict(embedder.to_dict())
    documents = [Document(content="the shore", meta={"title": "a bank"}), Document(content="loan")]
    run = asyncio.run(embedder.run_async(documents))
    expected = bothways.load(folder).encode(["a bank the shore", "loan"], role="document")
    np.testing.assert_allclose([d.embedding for d in run["documents"]], expected)
    assert run["meta"] == {"model": str(folder)}


def test_the_best_documents_come_first(scoring_folder: Path) -> None:
    ranker = BothwaysRanker.from_dict(BothwaysRanker(scoring_folder, top_k=2).to_dict())
    found = ranker.run("a river", [Document(content=text) for text in TEXTS])["documents"]
    ranking = bothways.load(scoring_folder).rerank("a river", TEXTS)
    assert [document.content for document in found] == [TEXTS[i] for i in ranking.order[:2]]
    assert [document.score for document in found] == sorted(ranking.scores.tolist())[:0:-1]
    assert ranker.run("a river", []) == {"documents": []}


@pytest.mark.parametrize("kind", [BothwaysTextEmbedder, BothwaysDocumentEmbedder])
def test_a_saved_component_refuses_another_model(
    folder: Path, other_folder: Path, kind: Any
) -> None:
    form = kind(folder).to_dict()
    form["init_parameters"]["model"] = str(other_folder)
    component = kind.from_dict(form)
    with pytest.raises(CheckpointError, match="they cannot be compared"):
        component.warm_up()
