"""The dialect of text-embeddings-inference (Hugging Face), and of the client of huggingface_hub."""

from typing import Any, Literal

import msgspec

from bothways.server.api import ApiDialect
from bothways.server.api.jina import Document
from bothways.server.errors import ApiError

__all__ = [
    "TEI",
    "EmbedRequest",
    "FilledMask",
    "HubParameters",
    "HubRequest",
    "PredictRequest",
    "Prediction",
    "Rank",
    "RankRequest",
    "SimilarityInputs",
    "SimilarityRequest",
    "SimpleToken",
    "SparseValue",
    "TaggedToken",
    "TextsRequest",
    "TokenizeRequest",
]

_Inputs = str | list[str | int | list[int]]


class _Request(msgspec.Struct, kw_only=True):
    """What all requests have. model: a served name, where several are served."""

    model: str | None = None
    truncate: bool | None = None
    truncation_direction: Literal["Right", "right"] | None = None


class TextsRequest(_Request, kw_only=True):
    """The body of POST /embed_all and /embed_sparse."""

    inputs: _Inputs
    prompt_name: str | None = None


class EmbedRequest(TextsRequest, kw_only=True):
    """The body of POST /embed; vectors have unit length unless `normalize` is false."""

    normalize: bool = True
    dimensions: int | None = None


class TokenizeRequest(msgspec.Struct, kw_only=True):
    """The body of POST /tokenize."""

    inputs: str | list[str]
    model: str | None = None
    add_special_tokens: bool = True
    prompt_name: str | None = None


class PredictRequest(_Request, kw_only=True):
    """The body of POST /predict: a text, a pair, or a list of [text] and [text, text]."""

    inputs: str | list[str | list[str]]
    raw_scores: bool = False


class RankRequest(_Request, kw_only=True):
    """The body of POST /rerank: with `texts` it is of TEI, with `documents` of Jina."""

    query: str
    texts: list[str] | None = None
    documents: list[str | Document] | None = None
    raw_scores: bool = False
    return_text: bool = False


class SimilarityInputs(msgspec.Struct, kw_only=True):
    """A sentence, and those to compare it with."""

    source_sentence: str
    sentences: list[str]


class SimilarityParameters(msgspec.Struct, kw_only=True):
    """Options of POST /similarity."""

    truncate: bool | None = None
    prompt_name: str | None = None


class SimilarityRequest(msgspec.Struct, kw_only=True):
    """The body of POST /similarity."""

    inputs: SimilarityInputs
    parameters: SimilarityParameters = msgspec.field(default_factory=SimilarityParameters)
    model: str | None = None


class HubParameters(msgspec.Struct, kw_only=True):
    """Options of POST /, as huggingface_hub sends them for predictions.

    top_k: how many labels, or tokens for a mask, to return. ignore_labels: of tokens.
    """

    top_k: int | None = None
    function_to_apply: Literal["sigmoid", "softmax", "none"] | None = None
    aggregation_strategy: Literal["none"] | None = None
    ignore_labels: list[str] | None = None
    targets: None = None
    truncate: bool | None = None
    prompt_name: str | None = None


class HubRequest(EmbedRequest, kw_only=True):
    """The body of POST /; with `parameters` it asks for a prediction, without for vectors."""

    parameters: HubParameters | None = None


class TaggedToken(msgspec.Struct, kw_only=True):
    """A token with its label, and the characters that it covers."""

    entity: str
    score: float
    word: str
    start: int | None
    end: int | None


class FilledMask(msgspec.Struct, kw_only=True):
    """A token in the place of a mask."""

    score: float
    token: int
    token_str: str
    sequence: str


class Prediction(msgspec.Struct, kw_only=True):
    """A label with its score."""

    score: float
    label: str


class Rank(msgspec.Struct, kw_only=True, omit_defaults=True):
    """A text: its place in the request, and how well it answers the query."""

    index: int
    score: float
    text: str | None = None


class SparseValue(msgspec.Struct, kw_only=True):
    """The weight of a term of the vocabulary."""

    index: int
    value: float


class SimpleToken(msgspec.Struct, kw_only=True):
    """A token; start and stop are the characters that it covers, null for special tokens."""

    id: int
    text: str
    special: bool
    start: int | None
    stop: int | None


_ERROR_TYPES = {
    "queue_full": "Overloaded",
    "too_many_requests": "Overloaded",
    "not_ready": "Unhealthy",
    "internal_error": "Backend",
    "unsupported_task": "Backend",
    "empty_input": "Empty",
    "context_length_exceeded": "Validation",
}


def error_body(error: ApiError) -> Any:
    """The body of an error."""
    return {"error": error.message, "error_type": _ERROR_TYPES.get(error.code, "Validation")}


TEI = ApiDialect(
    error_body,
    {
        "too_many_inputs": 413,
        "context_length_exceeded": 422,
        "invalid_input": 422,
        "invalid_option": 422,
        "invalid_value": 422,
        "token_ids_refused": 422,
        "too_many_tokens": 422,
        "unsupported_task": 424,
    },
)
