"""What a server computes for a request, in the terms of `Encoder`: vectors and tokens.

n inputs; d dimensions of a vector; D model width; L positions.
"""

from collections.abc import Sequence
from http import HTTPStatus
from typing import Any

import numpy as np

from bothways.errors import InputError
from bothways.inference.options import RunOptions, VectorOptions
from bothways.inference.vectors import pooling_modes
from bothways.sequences import FittedSequence
from bothways.server.engine import Pool, Tokens
from bothways.server.errors import ApiError
from bothways.server.exchange import Exchange
from bothways.server.models import ServedModel
from bothways.server.service import RequestInputs, Service, input_errors

__all__ = ["as_rows", "embed", "prompt_options", "run_options", "token_vectors", "tokenize"]

LARGEST_REPLY = 1 << 23
"""Numbers of the token vectors of a reply, about 170 MB of JSON."""

SMALL = 32
"""Vectors that are finished where they arrive: handing them to a thread takes longer."""


def run_options(
    served: ServedModel,
    *,
    prompt: str | None = None,
    prompt_name: str | None = None,
    on_overflow: str | None = None,
) -> RunOptions:
    """Options of a request, and those of the served name where it has none.

    Raises:
        ApiError: if they contradict each other, or are none.
    """
    if prompt is None and prompt_name is None:
        prompt_name = served.prompt_name
    try:
        options = RunOptions(
            on_overflow=on_overflow or served.settings.on_overflow,  # type: ignore[arg-type]
            prompt=prompt,
            prompt_name=prompt_name,
        )
        served.engine.encoder.session.prompt(options)
    except InputError as error:
        raise ApiError(HTTPStatus.BAD_REQUEST, "invalid_option", error.detail) from None
    return options


def as_rows(served: ServedModel, values: Sequence[Any], param: str) -> list[Any]:
    """Inputs as the engine reads them: texts, and ids where the model's settings allow them.

    Raises:
        ApiError: for ids where they are refused, with what to do instead.
    """
    if all(isinstance(value, str) for value in values):
        return list(values)
    if served.settings.token_ids == "refuse":  # noqa: S105
        raise ApiError(
            HTTPStatus.BAD_REQUEST,
            "token_ids_refused",
            f"{param}: got token ids, which clients often take from the tokenizer of another "
            "model; send texts. In LangChain: OpenAIEmbeddings(check_embedding_ctx_length=False). "
            'For ids of this model, set token_ids = "model" for it on the server',
            param=param,
        )
    if any(isinstance(value, str) for value in values):
        raise ApiError(
            HTTPStatus.BAD_REQUEST,
            "invalid_value",
            f"{param}: got texts and token ids; expected one of them for all inputs",
            param=param,
        )
    return [np.array(value, dtype=np.int64) for value in values]


async def embed(
    service: Service,
    exchange: Exchange,
    served: ServedModel,
    inputs: RequestInputs,
    vector: VectorOptions,
) -> tuple[np.ndarray, list[FittedSequence]]:
    """A vector for each input, float32 (n, d), and what was encoded.

    Raises:
        ApiError: naming the input or option that is invalid.
    """
    session = served.engine.encoder.session
    with input_errors(inputs):
        modes = pooling_modes(session, vector)
        session.finish(np.zeros((0, session.spec.config.d_model * len(modes)), np.float32), vector)
    fitted = await service.read(exchange, served, inputs)
    operation = Pool(modes, prompt_options(served, inputs), _are_ids(inputs))
    pooled = await service.compute(exchange, served, operation, fitted, inputs)
    vectors = np.stack(pooled)
    if len(vectors) <= SMALL:
        return session.finish(vectors, vector), fitted
    return await service.offload(lambda: session.finish(vectors, vector)), fitted


async def token_vectors(
    service: Service, exchange: Exchange, served: ServedModel, inputs: RequestInputs
) -> list[np.ndarray]:
    """The last hidden states, float32 (L, D), of each input.

    Raises:
        ApiError: naming the input that is invalid.
    """
    fitted = await service.read(exchange, served, inputs)
    limit = LARGEST_REPLY // served.engine.encoder.config.d_model
    if exchange.tokens > limit:
        raise ApiError(
            HTTPStatus.BAD_REQUEST,
            "too_many_tokens",
            f"{inputs.param}: {exchange.tokens} tokens, and a reply has the vectors of {limit} at "
            "most; send several requests",
            param=inputs.param,
            reason="tokens",
        )
    return await service.compute(exchange, served, Tokens(), fitted, inputs)


async def tokenize(
    service: Service, exchange: Exchange, served: ServedModel, inputs: RequestInputs
) -> list[FittedSequence]:
    """The tokens of each input, of which none is computed.

    Raises:
        ApiError: naming the input that is invalid.
    """
    exchange.operation = "tokenize"
    return await service.read(exchange, served, inputs)


def prompt_options(served: ServedModel, inputs: RequestInputs) -> RunOptions:
    """The options on which the positions depend that pooling leaves out.

    They are equal where nothing depends on them, so that more inputs share a batch.
    """
    if served.engine.encoder.spec.pooling.include_prompt:
        return RunOptions()
    options = inputs.options
    return RunOptions(prompt=options.prompt, prompt_name=options.prompt_name)


def _are_ids(inputs: RequestInputs) -> bool:
    return any(isinstance(row, np.ndarray) for row in inputs.rows)
