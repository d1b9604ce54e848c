"""LlamaIndex: an index that is saved and loaded, and the serialized form."""

import asyncio
from pathlib import Path

import pytest

import bothways
from bothways.errors import CheckpointError

pytest.importorskip(
    "llama_index.core", reason="llama-index is not installed; make test-integrations installs it"
)

from llama_index.core import StorageContext, VectorStoreIndex, load_index_from_storage
from llama_index.core.schema import TextNode

from bothways.integrations.llama_index import BothwaysEmbedding

TEXTS = ["a river bank", "the loan", "the shore"]


def test_an_index_on_disk_finds_what_encode_finds(folder: Path, tmp_path: Path) -> None:
    embedding = BothwaysEmbedding(model_name=str(folder))
    index = VectorStoreIndex([TextNode(text=text) for text in TEXTS], embed_model=embedding)
    index.storage_context.persist(tmp_path)
    storage = StorageContext.from_defaults(persist_dir=str(tmp_path))
    again = load_index_from_storage(
        storage, embed_model=BothwaysEmbedding.from_dict(embedding.to_dict())
    )
    found = again.as_retriever(similarity_top_k=3).retrieve("a shore")
    encoder = bothways.load(folder)
    scores = encoder.encode(TEXTS, role="document", normalize=True) @ encoder.encode(
        "a shore", role="query", normalize=True
    )
    order = (-scores).argsort()
    assert [node.node.get_content() for node in found] == [TEXTS[i] for i in order]


def test_the_async_methods_give_the_same_vectors(folder: Path) -> None:
    embedding = BothwaysEmbedding(model_name=str(folder), dimensions=4)
    assert len(embedding.get_query_embedding("a bank")) == 4
    assert asyncio.run(embedding.aget_query_embedding("a bank")) == embedding.get_query_embedding(
        "a bank"
    )
    texts = asyncio.run(embedding.aget_text_embedding_batch(TEXTS))
    assert texts == embedding.get_text_embedding_batch(TEXTS)
    assert texts[0] == asyncio.run(embedding.aget_text_embedding(TEXTS[0]))


def test_the_serialized_form_refuses_another_model(folder: Path, other_folder: Path) -> None:
    form = BothwaysEmbedding(model_name=str(folder)).to_dict()
    assert form["fingerprint"] == bothways.load(folder).fingerprint
    with pytest.raises(CheckpointError, match="they cannot be compared"):
        BothwaysEmbedding.from_dict(form | {"model_name": str(other_folder)})
