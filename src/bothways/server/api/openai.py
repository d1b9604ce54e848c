"""OpenAI's dialect: /v1/embeddings and /v1/models, with the fields that vLLM and bothways add."""

from typing import Any, Literal

import msgspec

from bothways.server.api import ApiDialect
from bothways.server.errors import ApiError

__all__ = [
    "OPENAI",
    "EmbeddingReply",
    "EmbeddingRow",
    "EmbeddingsRequest",
    "ModelList",
    "Usage",
    "VectorOrigin",
]


class EmbeddingsRequest(msgspec.Struct, kw_only=True):
    """The body of POST /v1/embeddings; fields of other servers that change nothing are ignored.

    input: a text, texts, the ids of one input, or those of several. truncate_prompt_tokens: the
    number of tokens at which to cut, -1 for the model's maximum. on_overflow: truncate, error or
    window.
    """

    input: str | list[str | int | list[int]]
    model: str | None = None
    encoding_format: Literal["float", "base64"] | None = None
    dimensions: int | None = None
    user: str | None = None
    prompt: str | None = None
    prompt_name: str | None = None
    on_overflow: str | None = None
    normalize: bool | None = None
    pooling: str | None = None
    truncate_prompt_tokens: int | None = None
    late_chunking: Literal[False] | None = None
    output: Literal["float32"] = "float32"


class EmbeddingRow(msgspec.Struct, kw_only=True):
    """A vector: its numbers, or their little-endian float32 bytes in base64."""

    index: int
    embedding: list[float] | str
    object: Literal["embedding"] = "embedding"


class Usage(msgspec.Struct, kw_only=True):
    """Tokens that were encoded, special tokens and prompts included."""

    prompt_tokens: int
    total_tokens: int


class VectorOrigin(msgspec.Struct, kw_only=True):
    """The model and settings that made the vectors, as files of vectors have them."""

    fingerprint: str
    pooling: str
    normalization: str
    dimensions: int
    precision: str
    int8_scheme: str
    prompt: str
    version: str


class EmbeddingReply(msgspec.Struct, kw_only=True):
    """The body of a reply of POST /v1/embeddings.

    data: a list of `EmbeddingRow`, as JSON. truncated: indices of inputs that were cut.
    """

    data: msgspec.Raw
    model: str
    usage: Usage
    truncated: list[int]
    origin: VectorOrigin
    object: Literal["list"] = "list"


class ModelList(msgspec.Struct, kw_only=True):
    """The body of a reply of GET /v1/models."""

    data: list[dict[str, Any]]
    object: Literal["list"] = "list"


def error_body(error: ApiError) -> Any:
    """The body of an error."""
    return {
        "error": {
            "message": error.message,
            "type": error.type,
            "param": error.param,
            "code": error.code,
        }
    }


OPENAI = ApiDialect(error_body)
