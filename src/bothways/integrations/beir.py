"""BEIR: the model of its dense retrieval."""

from collections.abc import Mapping, Sequence
from typing import Any, Unpack

import numpy as np

from bothways.integrations._shared import EmbedderOptions, ModelSource, RoleEmbedder

__all__ = ["BothwaysRetriever"]

Corpus = Sequence[str | Mapping[str, str]] | Mapping[str, Sequence[str]]
"""Documents with `text` and perhaps `title`, or texts; or the columns of both."""


class BothwaysRetriever:
    """The model that BEIR's `DenseRetrievalExactSearch` takes, from a model of `bothways.load`.

        DenseRetrievalExactSearch(BothwaysRetriever("minilm"))

    It does not import BEIR, which asks for these two methods.

    model: a source of `bothways.load`, or a loaded `Encoder`. sep: what joins a title and a text.
    options: those of `EmbedderOptions`.
    """

    def __init__(
        self, model: ModelSource, *, sep: str = " ", **options: Unpack[EmbedderOptions]
    ) -> None:
        self.embedder = RoleEmbedder(model, **options)
        self.sep = sep

    def encode_queries(
        self, queries: list[str], batch_size: int = 16, show_progress_bar: bool = False, **_: Any
    ) -> np.ndarray:
        """The vectors of queries, float32 (n, d). Other arguments of BEIR have no effect."""
        return self.embedder.queries(queries, progress=show_progress_bar)

    def encode_corpus(
        self, corpus: Corpus, batch_size: int = 8, show_progress_bar: bool = False, **_: Any
    ) -> np.ndarray:
        """The vectors of documents, float32 (n, d), each of its title and its text.

        Other arguments of BEIR have no effect.
        """
        texts = [self._text(document) for document in _documents(corpus)]
        return self.embedder.documents(texts, progress=show_progress_bar)

    def _text(self, document: str | Mapping[str, str]) -> str:
        """The text that BEIR's own models read."""
        if isinstance(document, str):
            return document
        title = f"{document['title']}{self.sep}" if "title" in document else ""
        return f"{title}{document['text']}".strip()


def _documents(corpus: Corpus) -> Sequence[str | Mapping[str, str]]:
    if not isinstance(corpus, Mapping):
        return corpus
    rows = zip(*corpus.values(), strict=True)
    return [dict(zip(corpus, row, strict=True)) for row in rows]
