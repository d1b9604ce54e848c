"""LanceDB: a function of its registry, which embeds the columns of a table and its queries."""

from typing import Any

from bothways.errors import MissingExtra
from bothways.inference.backends import BackendName, Precision
from bothways.integrations._shared import RoleEmbedder
from bothways.sequences import OnOverflow

try:
    from lancedb.embeddings import TextEmbeddingFunction, register
    from pydantic import PrivateAttr
except ImportError as error:
    raise MissingExtra("lancedb", "bothways.integrations.lancedb") from error

__all__ = ["BothwaysFunction"]


@register("bothways")
class BothwaysFunction(TextEmbeddingFunction):
    """The `TextEmbeddingFunction` of LanceDB, from a model of `bothways.load`.

        embed = BothwaysFunction.create(model="minilm")

    model: a source of `bothways.load`. The other fields are those of `EmbedderOptions`. The model
    is loaded at once. A table stores the fields with `fingerprint`; a process that opens it imports
    this module first, and another model is refused.

    Raises:
        CheckpointError: if the model has another fingerprint.
        InputError, SourceError, BackendError: as `bothways.load`.
    """

    model: str
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

    def __init__(self, **fields: Any) -> None:
        super().__init__(**fields)  # the model is loaded after it, as pydantic would wrap errors
        names = RoleEmbedder.option_names()
        self._embedder = RoleEmbedder(**{name: getattr(self, name) for name in names})
        _ = self._embedder.encoder

    def ndims(self) -> int:
        """Dimensions of a vector."""
        return self._embedder.width

    def generate_embeddings(self, texts: Any, *_: Any, **__: Any) -> list[Any]:
        """The vectors of documents, float32."""
        return list(self._embedder.documents(texts))

    def compute_query_embeddings(self, query: Any, *_: Any, **__: Any) -> list[Any]:
        """The vectors of one query or several, float32."""
        return list(self._embedder.queries(self.sanitize_input(query)))

    def compute_query_embeddings_with_retry(self, *args: Any, **kwargs: Any) -> list[Any]:
        """`compute_query_embeddings`: a local model that fails would fail again."""
        return self.compute_query_embeddings(*args, **kwargs)

    def compute_source_embeddings_with_retry(self, *args: Any, **kwargs: Any) -> list[Any]:
        """`compute_source_embeddings`: a local model that fails would fail again."""
        vectors: list[Any] = self.compute_source_embeddings(*args, **kwargs)
        return vectors

    def safe_model_dump(self) -> dict[str, Any]:
        """What a table stores: the fields that are not defaults, and the fingerprint."""
        return self._embedder.options()
