"""Haystack: components that embed queries and documents, and that rank documents."""

import asyncio
import dataclasses
from collections.abc import Sequence
from typing import Any, Self, Unpack

from bothways.errors import MissingExtra
from bothways.integrations._shared import EmbedderOptions, ModelSource, RoleEmbedder

try:
    from haystack import Document, component, default_from_dict, default_to_dict
except ImportError as error:
    raise MissingExtra("haystack", "bothways.integrations.haystack") from error

__all__ = ["BothwaysDocumentEmbedder", "BothwaysRanker", "BothwaysTextEmbedder"]


class _Component:
    """What the components share.

    model: a source of `bothways.load`, or a loaded `Encoder`. options: those of `EmbedderOptions`.
    """

    def __init__(self, model: ModelSource, **options: Unpack[EmbedderOptions]) -> None:
        self.embedder = RoleEmbedder(model, **options)

    def warm_up(self) -> None:
        """Load the model, which the first run does otherwise.

        Raises:
            CheckpointError: if the model has another fingerprint than the one that was saved.
        """
        _ = self.embedder.encoder

    def to_dict(self) -> dict[str, Any]:
        """The component as a pipeline file has it, with the fingerprint of the model."""
        form: dict[str, Any] = default_to_dict(self, **self.embedder.options(), **self._own())
        return form

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Self:
        """A component from what `to_dict` returned."""
        made: Self = default_from_dict(cls, data)
        return made

    def _own(self) -> dict[str, Any]:
        """The arguments of a component that are not options of the model."""
        return {}


@component
class BothwaysTextEmbedder(_Component):
    """The vector of a query."""

    @component.output_types(embedding=list[float], meta=dict[str, Any])
    def run(self, text: str) -> dict[str, Any]:
        """The `embedding` of a text, and in `meta` the model."""
        (vector,) = self.embedder.queries([text]).tolist()
        return {"embedding": vector, "meta": {"model": str(self.embedder.model)}}

    @component.output_types(embedding=list[float], meta=dict[str, Any])
    async def run_async(self, text: str) -> dict[str, Any]:
        """As `run`, in a thread."""
        return await asyncio.to_thread(self.run, text)


@component
class BothwaysDocumentEmbedder(_Component):
    """Documents with their vectors.

    meta_fields_to_embed: fields of `meta` whose values are put before the content, and are joined
        with it by `embedding_separator`.
    """

    def __init__(
        self,
        model: ModelSource,
        *,
        meta_fields_to_embed: Sequence[str] = (),
        embedding_separator: str = "\n",
        **options: Unpack[EmbedderOptions],
    ) -> None:
        _Component.__init__(self, model, **options)  # `component` copies the class: no super()
        self.meta_fields_to_embed = list(meta_fields_to_embed)
        self.embedding_separator = embedding_separator

    @component.output_types(documents=list[Document], meta=dict[str, Any])
    def run(self, documents: list[Document]) -> dict[str, Any]:
        """Copies of the `documents` that have an `embedding`, and in `meta` the model."""
        vectors = self.embedder.documents(self._text(document) for document in documents).tolist()
        embedded = [
            dataclasses.replace(document, embedding=vector)
            for document, vector in zip(documents, vectors, strict=True)
        ]
        return {"documents": embedded, "meta": {"model": str(self.embedder.model)}}

    @component.output_types(documents=list[Document], meta=dict[str, Any])
    async def run_async(self, documents: list[Document]) -> dict[str, Any]:
        """As `run`, in a thread."""
        return await asyncio.to_thread(self.run, documents)

    def _own(self) -> dict[str, Any]:
        return {
            "meta_fields_to_embed": self.meta_fields_to_embed,
            "embedding_separator": self.embedding_separator,
        }

    def _text(self, document: Document) -> str:
        values = (document.meta.get(name) for name in self.meta_fields_to_embed)
        parts = [str(value) for value in values if value is not None]
        return self.embedding_separator.join([*parts, document.content or ""])


@component
class BothwaysRanker(_Component):
    """Documents in the order in which they answer a query, by a model with a head for scores.

    top_k: the number of documents to keep; None for all. Of the options, those of prompts for
    documents and of dimensions have no effect.
    """

    def __init__(
        self, model: ModelSource, *, top_k: int | None = None, **options: Unpack[EmbedderOptions]
    ) -> None:
        _Component.__init__(self, model, **options)  # `component` copies the class: no super()
        self.top_k = top_k

    @component.output_types(documents=list[Document])
    def run(
        self, query: str, documents: list[Document], top_k: int | None = None
    ) -> dict[str, Any]:
        """Copies of the best `top_k` documents with their `score`, the best first."""
        if not documents:
            return {"documents": []}
        ranking = self.embedder.encoder.rerank(
            query,
            [document.content or "" for document in documents],
            prompt=self.embedder.query_prompt,
            on_overflow=self.embedder.on_overflow,
        )
        best = ranking.order[: self.top_k if top_k is None else top_k].tolist()
        scores = ranking.scores.tolist()
        return {"documents": [dataclasses.replace(documents[i], score=scores[i]) for i in best]}

    def _own(self) -> dict[str, Any]:
        return {"top_k": self.top_k}
