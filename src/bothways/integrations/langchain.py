"""LangChain: vectors for its vector stores and retrievers."""

from typing import Unpack

from bothways.errors import MissingExtra
from bothways.integrations._shared import EmbedderOptions, ModelSource, RoleEmbedder

try:
    from langchain_core.embeddings import Embeddings
except ImportError as error:
    raise MissingExtra("langchain", "bothways.integrations.langchain") from error

__all__ = ["BothwaysEmbeddings"]


class BothwaysEmbeddings(Embeddings):
    """The `Embeddings` of LangChain, from a model of `bothways.load`.

        InMemoryVectorStore.from_texts(texts, BothwaysEmbeddings("minilm"))

    model: a source of `bothways.load`, or a loaded `Encoder`. options: those of `EmbedderOptions`.

    A pickle has the model's source and its fingerprint, and no weights.

    Raises:
        InputError, SourceError, CheckpointError, BackendError: as `bothways.load`, at the first
            call.
    """

    def __init__(self, model: ModelSource, **options: Unpack[EmbedderOptions]) -> None:
        self.embedder = RoleEmbedder(model, **options)

    def __repr__(self) -> str:
        return f"BothwaysEmbeddings({self.embedder.model!r})"

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        """The vectors of n documents, each a list of d numbers."""
        vectors: list[list[float]] = self.embedder.documents(texts).tolist()
        return vectors

    def embed_query(self, text: str) -> list[float]:
        """The vector of a query, a list of d numbers."""
        vector: list[float] = self.embedder.queries([text])[0].tolist()
        return vector
