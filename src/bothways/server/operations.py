"""What a server computes for a request, in the terms of `Encoder`: vectors, scores, labels.

n inputs; d dimensions of a vector; D model width; L positions.
"""

import dataclasses
from collections.abc import Sequence
from http import HTTPStatus
from typing import Any

import numpy as np

from bothways.errors import InputError
from bothways.inference.options import RunOptions, VectorOptions
from bothways.inference.predict.classify import Classifications, check_threshold, classifications
from bothways.inference.predict.head_run import HeadRun
from bothways.inference.predict.rerank import Ranking, query_prompt, ranking, scoring_head
from bothways.inference.predict.sparse import SparseVector
from bothways.model.heads import HeadTask
from bothways.sequences import FittedSequence
from bothways.server.engine import Pool, Sparse, Tokens
from bothways.server.errors import ApiError
from bothways.server.exchange import Exchange
from bothways.server.models import ServedModel
from bothways.server.service import Inputs, Service, input_errors

__all__ = [
    "as_rows",
    "classify",
    "embed",
    "predict",
    "rerank",
    "run_options",
    "sparse",
    "token_vectors",
    "tokenize",
]


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
    inputs: Inputs,
    vector: VectorOptions,
) -> tuple[np.ndarray, list[FittedSequence]]:
    """A vector for each input, float32 (n, d), and what was encoded.

    Raises:
        ApiError: naming the input or option that is invalid.
    """
    session = served.engine.encoder.session
    modes = session.spec.pooling.modes if vector.pooling is None else (vector.pooling,)
    with input_errors(inputs):
        session.finish(np.zeros((0, session.spec.config.d_model * len(modes)), np.float32), vector)
    fitted = await service.read(exchange, served, inputs)
    operation = Pool(modes, _prompt_options(served, inputs), _are_ids(inputs))
    pooled = await service.compute(exchange, served, operation, fitted, inputs)
    return session.finish(np.stack(pooled), vector), fitted


async def classify(
    service: Service, exchange: Exchange, served: ServedModel, inputs: Inputs, threshold: float
) -> Classifications:
    """The labels of each input.

    Raises:
        ApiError: naming the input that is invalid, or if the model does not classify.
    """
    with input_errors(inputs):
        check_threshold(threshold)
    run, outputs = await _head_outputs(
        service, exchange, served, inputs, ("classes", "multilabel"), "classifies"
    )
    return classifications(run, outputs, threshold)


async def predict(
    service: Service, exchange: Exchange, served: ServedModel, inputs: Inputs
) -> tuple[tuple[str, ...], np.ndarray]:
    """The names of the values of a model, and those of each input, float32 (n, k).

    Raises:
        ApiError: naming the input that is invalid, or if the model predicts no values.
    """
    run, outputs = await _head_outputs(
        service, exchange, served, inputs, ("values",), "predicts values"
    )
    return run.head.labels, outputs


async def rerank(
    service: Service,
    exchange: Exchange,
    served: ServedModel,
    query: str,
    documents: Sequence[str],
    *,
    param: str,
    options: RunOptions,
    max_length: int | None = None,
) -> Ranking:
    """Documents in the order in which they answer a query, with scores as `Encoder.rerank`.

    Raises:
        ApiError: naming the document that is invalid, or if the model does not score pairs.
    """
    session = served.engine.encoder.session
    _require_head(served, ("values", "classes", "multilabel"), "scores pairs of texts")
    try:
        head = scoring_head(session)
    except InputError as error:
        raise ApiError(HTTPStatus.BAD_REQUEST, "unsupported_task", error.detail) from None
    if options.prompt is None and options.prompt_name is None:
        options = dataclasses.replace(options, prompt=query_prompt(session))
    pairs = [(query, document) for document in documents]
    inputs = Inputs(pairs, param, options, max_length)
    run, outputs = await _head_outputs(
        service, exchange, served, inputs, (head.task,), "scores pairs of texts"
    )
    return ranking(run, outputs)


async def sparse(
    service: Service, exchange: Exchange, served: ServedModel, inputs: Inputs
) -> list[SparseVector]:
    """The weights of the terms of each input.

    Raises:
        ApiError: naming the input that is invalid, or if the model has no such head.
    """
    _require_head(served, ("masked_tokens",), "gives sparse vectors")
    inputs = _without_prompt(inputs)
    fitted = await service.read(exchange, served, inputs)
    return await service.compute(exchange, served, Sparse(), fitted, inputs)


async def token_vectors(
    service: Service, exchange: Exchange, served: ServedModel, inputs: Inputs
) -> list[np.ndarray]:
    """The last hidden states, float32 (L, D), of each input.

    Raises:
        ApiError: naming the input that is invalid.
    """
    fitted = await service.read(exchange, served, inputs)
    return await service.compute(exchange, served, Tokens(), fitted, inputs)


async def tokenize(
    service: Service, exchange: Exchange, served: ServedModel, inputs: Inputs
) -> list[FittedSequence]:
    """The tokens of each input, of which none is computed.

    Raises:
        ApiError: naming the input that is invalid.
    """
    return await service.read(exchange, served, inputs)


async def _head_outputs(
    service: Service,
    exchange: Exchange,
    served: ServedModel,
    inputs: Inputs,
    tasks: tuple[HeadTask, ...],
    purpose: str,
) -> tuple[HeadRun, np.ndarray]:
    """A run to the first head that the model has for one of the tasks, and its outputs (n, O)."""
    _require_head(served, tasks, purpose)
    session = served.engine.encoder.session
    head = session.heads.find(*tasks, purpose=purpose)
    inputs = _without_prompt(inputs)
    fitted = await service.read(exchange, served, inputs)
    if head.pooling is None:
        raise ValueError(f"a head for {head.task} has outputs for each position")
    operation = Pool((head.pooling,), _prompt_options(served, inputs))
    pooled = await service.compute(exchange, served, operation, fitted, inputs)
    run = HeadRun(session, head, session.heads.weights(head), fitted, inputs.options)
    return run, run.outputs_of_pooled(np.stack(pooled))


def _without_prompt(inputs: Inputs) -> Inputs:
    """Inputs for a head: heads are trained without prompts, unless the options choose one."""
    options = inputs.options
    if options.prompt is None and options.prompt_name is None:
        return dataclasses.replace(inputs, options=dataclasses.replace(options, prompt=""))
    return inputs


def _prompt_options(served: ServedModel, inputs: Inputs) -> RunOptions:
    """The options on which the positions depend that pooling leaves out.

    They are equal where nothing depends on them, so that more inputs share a batch.
    """
    if served.engine.encoder.spec.pooling.include_prompt:
        return RunOptions()
    options = inputs.options
    return RunOptions(prompt=options.prompt, prompt_name=options.prompt_name)


def _are_ids(inputs: Inputs) -> bool:
    return any(isinstance(row, np.ndarray) for row in inputs.rows)


def _require_head(served: ServedModel, tasks: tuple[HeadTask, ...], purpose: str) -> None:
    """Refuse a request for which the model has no head.

    Raises:
        ApiError: with the tasks that the model has.
    """
    available = served.engine.encoder.tasks
    if not any(task in available for task in tasks):
        heads = f"it has heads for {', '.join(available)}" if available else "it has no heads"
        raise ApiError(
            HTTPStatus.BAD_REQUEST,
            "unsupported_task",
            f"the model {served.name!r} is none that {purpose}: {heads}; name another as model",
            param="model",
        )
