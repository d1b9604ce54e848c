"""BERTopic: vectors of the documents that it clusters into topics."""

from typing import Unpack

import numpy as np

from bothways.errors import MissingExtra
from bothways.integrations._shared import EmbedderOptions, ModelSource, RoleEmbedder

try:
    from bertopic.backend import BaseEmbedder
except ImportError as error:
    raise MissingExtra("bertopic", "bothways.integrations.bertopic") from error

__all__ = ["BothwaysBackend"]


class BothwaysBackend(BaseEmbedder):
    """The backend of BERTopic, from a model of `bothways.load`.

        BERTopic(embedding_model=BothwaysBackend("minilm")).fit_transform(documents)

    model: a source of `bothways.load`, or a loaded `Encoder`. options: those of `EmbedderOptions`;
    topics and their words have the prompt of documents too.
    """

    def __init__(self, model: ModelSource, **options: Unpack[EmbedderOptions]) -> None:
        super().__init__()
        self.embedder = RoleEmbedder(model, **options)

    def embed(self, documents: list[str], verbose: bool = False) -> np.ndarray:
        """One vector per document or word, float32 (n, d).

        verbose: show a progress bar.
        """
        return self.embedder.documents(documents, progress=bool(verbose))
