"""The handler of POST /v1/embeddings."""

import base64
from collections.abc import Callable
from http import HTTPStatus
from typing import Any

import msgspec
import numpy as np

import bothways
from bothways.errors import InputError
from bothways.inference.options import RunOptions, VectorOptions
from bothways.server import operations
from bothways.server.api.openai import (
    EmbeddingReply,
    EmbeddingRow,
    EmbeddingsRequest,
    Usage,
    VectorOrigin,
)
from bothways.server.errors import ApiError
from bothways.server.exchange import Exchange, Reply, encode_rows
from bothways.server.models import ServedModel
from bothways.server.service import RequestInputs, Service
from bothways.streaming.settings import int8_scheme_of

__all__ = ["EmbeddingHandlers", "as_list", "vector_options"]


class EmbeddingHandlers:
    """Vectors in OpenAI's dialect."""

    def __init__(self, service: Service) -> None:
        self._service = service

    async def embeddings(self, exchange: Exchange) -> Reply:
        """A vector for each input."""
        request = await exchange.read(EmbeddingsRequest)
        served = await self._service.find(exchange, request.model)
        values = as_list(request.input, "input")
        self._service.runtime.admission.check_inputs(len(values), param="input")
        options = operations.run_options(
            served,
            prompt=request.prompt,
            prompt_name=request.prompt_name,
            on_overflow=request.on_overflow,
        )
        single = isinstance(request.input, str)
        inputs = RequestInputs(
            operations.as_rows(served, values, "input"),
            "input",
            options,
            _max_length(request.truncate_prompt_tokens, "truncate_prompt_tokens"),
            single=single,
        )
        vector = vector_options(request.pooling, request.normalize, request.dimensions)
        vectors, fitted = await operations.embed(self._service, exchange, served, inputs, vector)
        tokens = sum(f.num_tokens for f in fitted)
        content = EmbeddingReply(
            data=msgspec.Raw(b"[]"),
            model=served.name,
            usage=Usage(prompt_tokens=tokens, total_tokens=tokens),
            truncated=exchange.truncated,
            origin=_origin(served, options, vector, vectors.shape[1]),
        )
        as_base64 = request.encoding_format == "base64"
        return EmbeddingsReply(content, vectors, as_base64=as_base64)


class EmbeddingsReply(Reply):
    """Vectors, whose numbers are written when the body is: in a thread if they are many."""

    def __init__(self, content: EmbeddingReply, vectors: np.ndarray, *, as_base64: bool) -> None:
        super().__init__(content, numbers=vectors.size // 8 if as_base64 else vectors.size)
        self._vectors, self._as_base64 = vectors, as_base64

    def body(self) -> bytes:
        """The bytes of the body."""
        vectors = self._vectors.astype("<f4", copy=False)
        encode: Callable[[np.ndarray], Any] = _as_base64 if self._as_base64 else _as_list
        rows = encode_rows(
            list(enumerate(vectors)),
            lambda row: EmbeddingRow(index=row[0], embedding=encode(row[1])),
            vectors.shape[1],
        )
        self.content.data = msgspec.Raw(rows)
        return super().body()


def _as_list(vector: np.ndarray) -> list[float]:
    values: list[float] = vector.tolist()
    return values


def _as_base64(vector: np.ndarray) -> str:
    return base64.b64encode(vector.tobytes()).decode()


def vector_options(
    pooling: str | None, normalize: bool | None, dimensions: int | None
) -> VectorOptions:
    """How the vectors of a request are made.

    Raises:
        ApiError: naming the option that is invalid.
    """
    try:
        return VectorOptions(pooling, normalize, dimensions)  # type: ignore[arg-type]
    except InputError as error:
        raise ApiError(
            HTTPStatus.BAD_REQUEST, "invalid_option", error.detail, param="pooling"
        ) from None


def as_list(value: str | list[str | int | list[int]], param: str) -> list[Any]:
    """The inputs of a request, from one or several: a list of integers is the ids of one.

    Raises:
        ApiError: naming the integer among other inputs.
    """
    if isinstance(value, str):
        return [value]
    integers = [isinstance(item, int) for item in value]
    if value and all(integers):
        return [value]
    if any(integers):
        name = f"{param}[{integers.index(True)}]"
        raise ApiError(
            HTTPStatus.BAD_REQUEST,
            "invalid_value",
            f"{name}: got an integer; expected a text, or the ids of an input in a list",
            param=name,
        )
    return list(value)


def _max_length(tokens: int | None, param: str) -> int | None:
    """The tokens at which inputs are cut; None for the model's maximum."""
    if tokens is None or tokens == -1:
        return None
    if tokens < 1:
        raise ApiError(
            HTTPStatus.BAD_REQUEST,
            "invalid_value",
            f"{param}: got {tokens}; expected at least 1, or -1 for the model's maximum",
            param=param,
        )
    return tokens


def _origin(
    served: ServedModel, options: RunOptions, vector: VectorOptions, dimensions: int
) -> VectorOrigin:
    encoder = served.engine.encoder
    spec = encoder.spec
    modes = spec.pooling.modes if vector.pooling is None else (vector.pooling,)
    normalized = spec.normalizes if vector.normalize is None else vector.normalize
    return VectorOrigin(
        fingerprint=served.engine.fingerprint,
        pooling="+".join(modes),
        normalization="l2" if normalized else "none",
        dimensions=dimensions,
        precision=encoder.backend.precision,
        int8_scheme=int8_scheme_of(encoder),
        prompt=encoder.session.prompt(options).text,
        version=bothways.__version__,
    )
