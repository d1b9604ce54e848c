"""KeyBERT: vectors of documents and of the candidates for keywords."""

from typing import Unpack

import numpy as np

from bothways.errors import MissingExtra
from bothways.integrations._shared import EmbedderOptions, ModelSource, RoleEmbedder

try:
    from keybert.backend import BaseEmbedder
except ImportError as error:
    raise MissingExtra("keybert", "bothways.integrations.keybert") from error

__all__ = ["BothwaysEmbedder"]


class BothwaysEmbedder(BaseEmbedder):
    """The backend of KeyBERT, from a model of `bothways.load`.

        KeyBERT(BothwaysEmbedder("minilm"))

    KeyBERT replaces a model of a class that it does not know, such as an `Encoder`, by a model that
    it downloads, without a message: wrap it in this one.

    model: a source of `bothways.load`, or a loaded `Encoder`. options: those of `EmbedderOptions`;
    documents and candidates have the prompt of documents.
    """

    def __init__(self, model: ModelSource, **options: Unpack[EmbedderOptions]) -> None:
        super().__init__()
        self.embedder = RoleEmbedder(model, **options)

    def embed(self, documents: list[str], verbose: bool = False) -> np.ndarray:
        """One vector per document or word, float32 (n, d).

        verbose: show a progress bar.
        """
        return self.embedder.documents(documents, progress=bool(verbose))
