"""LlamaIndex: vectors for its indexes and ingestion pipelines."""

import asyncio
from typing import Any

from bothways.errors import MissingExtra
from bothways.inference.backends import BackendName, Precision
from bothways.integrations._shared import RoleEmbedder
from bothways.sequences import OnOverflow

try:
    from llama_index.core.base.embeddings.base import BaseEmbedding
    from pydantic import Field, PrivateAttr
except ImportError as error:
    raise MissingExtra("llama-index", "bothways.integrations.llama_index") from error

__all__ = ["BothwaysEmbedding"]


class BothwaysEmbedding(BaseEmbedding):
    """The `BaseEmbedding` of LlamaIndex, from a model of `bothways.load`.

        Settings.embed_model = BothwaysEmbedding(model_name="minilm")

    model_name: a source of `bothways.load`. The other fields are those of `EmbedderOptions`, and of
    `BaseEmbedding`. `fingerprint` is filled in when the model is loaded, which is at once;
    `to_dict` and `to_json` contain it, and `from_dict` refuses another model.

    Raises:
        CheckpointError: if the model has another fingerprint.
        InputError, SourceError, BackendError: as `bothways.load`.
    """

    model_name: str
    embed_batch_size: int = Field(default=2048, gt=0, le=2048)
    backend: BackendName = "auto"
    precision: Precision = "fp32"
    threads: int | None = None
    device: str | None = None
    query_prompt: str | None = None
    document_prompt: str | None = None
    on_overflow: OnOverflow = "truncate"
    dimensions: int | None = None
    fingerprint: str | None = None
    _embedder: RoleEmbedder = PrivateAttr()

    @classmethod
    def class_name(cls) -> str:
        """The name under which LlamaIndex serializes the class."""
        return "BothwaysEmbedding"

    def __init__(self, **fields: Any) -> None:
        super().__init__(**fields)  # the model is loaded after it, as pydantic would wrap errors
        names = (name for name in RoleEmbedder.option_names() if name != "model")
        self._embedder = RoleEmbedder(self.model_name, **{n: getattr(self, n) for n in names})
        _ = self._embedder.encoder
        self.fingerprint = self._embedder.known_fingerprint()

    def _get_query_embedding(self, query: str) -> list[float]:
        vector: list[float] = self._embedder.queries([query])[0].tolist()
        return vector

    async def _aget_query_embedding(self, query: str) -> list[float]:
        return await asyncio.to_thread(self._get_query_embedding, query)

    def _get_text_embedding(self, text: str) -> list[float]:
        return self._get_text_embeddings([text])[0]

    def _get_text_embeddings(self, texts: list[str]) -> list[list[float]]:
        vectors: list[list[float]] = self._embedder.documents(texts).tolist()
        return vectors

    async def _aget_text_embedding(self, text: str) -> list[float]:
        return await asyncio.to_thread(self._get_text_embedding, text)

    async def _aget_text_embeddings(self, texts: list[str]) -> list[list[float]]:
        return await asyncio.to_thread(self._get_text_embeddings, texts)
