"""Chroma: the embedding function of a collection, which reopens with it."""

from typing import Any, Unpack

from bothways.errors import CheckpointError, MissingExtra
from bothways.integrations._shared import EmbedderOptions, RoleEmbedder

try:
    from chromadb.api.types import Documents, EmbeddingFunction, Embeddings, Space
    from chromadb.utils.embedding_functions import register_embedding_function
except ImportError as error:
    raise MissingExtra("chroma", "bothways.integrations.chroma") from error

__all__ = ["BothwaysEmbeddingFunction"]

_SPACES: dict[str, Space] = {"cosine": "cosine", "dot": "ip", "euclidean": "l2"}
"""Similarities of models, and the distances of Chroma."""


@register_embedding_function
class BothwaysEmbeddingFunction(EmbeddingFunction[Documents]):
    """The `EmbeddingFunction` of Chroma, from a model of `bothways.load`.

        client.create_collection("notes", embedding_function=BothwaysEmbeddingFunction("minilm"))

    model: a source of `bothways.load`. options: those of `EmbedderOptions`. The model is loaded at
    once. A collection stores them with the fingerprint; a process that reopens it imports this
    module first, and another model is refused.

    Raises:
        CheckpointError: if the model has another fingerprint.
        InputError, SourceError, BackendError: as `bothways.load`.
    """

    def __init__(self, model: str, **options: Unpack[EmbedderOptions]) -> None:
        self.embedder = RoleEmbedder(model, **options)
        _ = self.embedder.encoder

    def __call__(self, input: Documents) -> Embeddings:
        """The vectors of documents, float32."""
        return list(self.embedder.documents(input))

    def embed_query(self, input: Documents) -> Embeddings:
        """The vectors of queries, float32."""
        return list(self.embedder.queries(input))

    @staticmethod
    def name() -> str:
        """The name under which collections store this function."""
        return "bothways"

    def default_space(self) -> Space:
        """The distance that a collection has by default: the model's own, or else of cosines."""
        return _SPACES.get(self.embedder.encoder.spec.similarity or "cosine", "cosine")

    def supported_spaces(self) -> list[Space]:
        """The distances that a collection may have."""
        return ["cosine", "l2", "ip"]

    @staticmethod
    def build_from_config(config: dict[str, Any]) -> "BothwaysEmbeddingFunction":
        """The function that a collection stored."""
        return BothwaysEmbeddingFunction(**config)

    def get_config(self) -> dict[str, Any]:
        """What a collection stores: the options that are not defaults, and the fingerprint."""
        return self.embedder.options()

    def validate_config_update(
        self, old_config: dict[str, Any], new_config: dict[str, Any]
    ) -> None:
        """Refuse another model for a collection; where it is loaded from may change.

        Raises:
            CheckpointError: if the fingerprints differ.
        """
        old, new = (config.get("fingerprint") for config in (old_config, new_config))
        if old != new:
            raise CheckpointError(
                f"the collection has vectors of the model with the fingerprint {old}, and not "
                f"{new}: make a new collection, and add the documents again"
            )
