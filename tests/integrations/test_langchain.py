"""LangChain: its own conformance tests, and a vector store."""

import pickle
from pathlib import Path
from typing import Any

import pytest

import bothways
from bothways.errors import CheckpointError

pytest.importorskip(
    "langchain_core", reason="langchain is not installed; make test-integrations installs it"
)
pytest.importorskip("langchain_tests")

from langchain_core.vectorstores import InMemoryVectorStore
from langchain_tests.integration_tests import EmbeddingsIntegrationTests
from langchain_tests.unit_tests import EmbeddingsUnitTests

from bothways.integrations.langchain import BothwaysEmbeddings

TEXTS = ["a river bank", "the loan", "the shore"]


class _OurModel:
    @pytest.fixture(autouse=True)
    def _set_folder(self, folder: Path) -> None:
        self.folder = folder

    @property
    def embeddings_class(self) -> Any:
        return BothwaysEmbeddings

    @property
    def embedding_model_params(self) -> dict[str, Any]:
        return {"model": self.folder}


class TestUnits(_OurModel, EmbeddingsUnitTests):
    """The unit tests of LangChain."""


@pytest.mark.filterwarnings("ignore::bothways.errors.UnknownTokenWarning")
class TestIntegration(_OurModel, EmbeddingsIntegrationTests):
    """The integration tests of LangChain."""

    test_aembed_query = pytest.mark.asyncio(EmbeddingsIntegrationTests.test_aembed_query)
    test_aembed_documents = pytest.mark.asyncio(EmbeddingsIntegrationTests.test_aembed_documents)


def test_a_vector_store_finds_what_encode_finds(folder: Path) -> None:
    store = InMemoryVectorStore.from_texts(TEXTS, BothwaysEmbeddings(folder))
    found = store.similarity_search_with_score("a shore", k=3)
    encoder = bothways.load(folder)
    documents, query = (
        encoder.encode(TEXTS, role="document", normalize=True),
        encoder.encode("a shore", role="query", normalize=True),
    )
    scores = documents @ query
    assert [document.page_content for document, _ in found] == [
        TEXTS[i] for i in (-scores).argsort()
    ]
    assert [score for _, score in found] == pytest.approx(sorted(scores, reverse=True), abs=1e-5)


def test_a_pickle_refuses_another_model(folder: Path, other_folder: Path) -> None:
    embeddings = BothwaysEmbeddings(str(folder))
    again = pickle.loads(pickle.dumps(embeddings))  # noqa: S301
    assert again.embed_query("a bank") == embeddings.embed_query("a bank")
    again.embedder.model = other_folder
    with pytest.raises(CheckpointError, match="they cannot be compared"):
        pickle.loads(pickle.dumps(again)).embed_query("a bank")  # noqa: S301
