"""Jina's dialect of /v1/rerank, with the fields that Cohere's first version and vLLM add."""

from typing import Any, Literal

import msgspec

from bothways.server.api.openai import Usage

__all__ = ["Document", "RerankReply", "RerankRequest", "RerankResult"]


class Document(msgspec.Struct, kw_only=True):
    """A document, as an object."""

    text: str


class RerankRequest(msgspec.Struct, kw_only=True):
    """The body of POST /v1/rerank.

    top_n: how many results to return. raw_scores: the score as the model gives it, instead of one
    between 0 and 1.
    """

    query: str
    documents: list[str | Document]
    model: str | None = None
    top_n: int | None = None
    return_documents: bool | None = None
    raw_scores: bool = False
    prompt: str | None = None
    prompt_name: str | None = None
    on_overflow: str | None = None
    user: str | None = None


class RerankResult(msgspec.Struct, kw_only=True, omit_defaults=True):
    """A document: its place in the request, and how well it answers the query."""

    index: int
    relevance_score: float
    document: Document | None = None


class RerankReply(msgspec.Struct, kw_only=True):
    """The body of a reply of POST /v1/rerank. truncated: indices of documents that were cut."""

    id: str
    model: str
    results: list[RerankResult]
    usage: Usage
    truncated: list[int]
    meta: dict[str, Any] = msgspec.field(
        default_factory=lambda: {"billed_units": {"search_units": 1}}
    )
    object: Literal["list"] = "list"
