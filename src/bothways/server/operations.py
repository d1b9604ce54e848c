"""What a server computes for a request, in the terms of `Encoder`: vectors, scores, labels.

n inputs; d dimensions of a vector; D model width; L positions.
"""

import dataclasses
from collections.abc import Sequence
from http import HTTPStatus
from typing import Any, NamedTuple

import numpy as np

from bothways.errors import InputError
from bothways.inference.options import RunOptions, VectorOptions
from bothways.inference.predict.classify import Classifications, check_threshold, classifications
from bothways.inference.predict.fill_mask import MaskPrediction, mask_predictions
from bothways.inference.predict.head_run import HeadRun
from bothways.inference.predict.rerank import query_prompt, ranking, scoring_head
from bothways.inference.predict.sparse import SparseVector
from bothways.inference.predict.tag import TokenTags, token_tags
from bothways.model.heads import HeadTask
from bothways.sequences import FittedSequence
from bothways.server.engine import Pool, Sparse, Tokens
from bothways.server.errors import ApiError
from bothways.server.exchange import Exchange
from bothways.server.models import ServedModel
from bothways.server.service import RequestInputs, Service, input_errors

__all__ = [
    "CLASSES",
    "SCORES",
    "TAGS",
    "TERMS",
    "VALUES",
    "as_rows",
    "can_classify",
    "can_predict",
    "can_rerank",
    "can_weigh_terms",
    "classify",
    "embed",
    "fill_mask",
    "predict",
    "rerank",
    "run_options",
    "sparse",
    "tag",
    "token_vectors",
    "tokenize",
]

LARGEST_REPLY = 1 << 23
"""Numbers of the token vectors of a reply, about 170 MB of JSON."""

SMALL = 32
"""Vectors that are finished where they arrive: handing them to a thread takes longer."""

CLASSES: tuple[HeadTask, ...] = ("classes", "multilabel")
VALUES: tuple[HeadTask, ...] = ("values",)
SCORES: tuple[HeadTask, ...] = (*VALUES, *CLASSES)
TAGS: tuple[HeadTask, ...] = ("tags",)
TERMS: tuple[HeadTask, ...] = ("masked_tokens",)
"""Heads for labels, values, scores of pairs, labels of tokens, and terms of a vocabulary."""


def can_classify(served: ServedModel) -> bool:
    """Whether a model has a head for `classify`."""
    return served.has_head(CLASSES)


def can_predict(served: ServedModel) -> bool:
    """Whether a model has a head for `predict`."""
    return served.has_head((*CLASSES, *VALUES))


def can_rerank(served: ServedModel) -> bool:
    """Whether a model has a head for `rerank`."""
    try:
        scoring_head(served.engine.encoder.session)
    except InputError:
        return False
    return True


def can_weigh_terms(served: ServedModel) -> bool:
    """Whether a model has a head for `sparse`."""
    return served.has_head(TERMS)


class Relevance(NamedTuple):
    """How well n documents answer a query.

    order: indices of the documents, best first. scores: between 0 and 1, in the order given: the
    probability of a match, or the sigmoid of a single value. raw: as `Encoder.rerank` gives them.
    """

    order: list[int]
    scores: list[float]
    raw: list[float]


class LabeledOutputs(NamedTuple):
    """The outputs of a head for each input, float32 (n, C), as it gives them and as its task reads
    them: probabilities of classes, or values.
    """

    labels: tuple[str, ...]
    outputs: np.ndarray
    scores: np.ndarray


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
    modes = session.spec.pooling.modes if vector.pooling is None else (vector.pooling,)
    with input_errors(inputs):
        session.finish(np.zeros((0, session.spec.config.d_model * len(modes)), np.float32), vector)
    fitted = await service.read(exchange, served, inputs)
    operation = Pool(modes, _prompt_options(served, inputs), _are_ids(inputs))
    pooled = await service.compute(exchange, served, operation, fitted, inputs)
    vectors = np.stack(pooled)
    if len(vectors) <= SMALL:
        return session.finish(vectors, vector), fitted
    return await service.offload(lambda: session.finish(vectors, vector)), fitted


async def classify(
    service: Service,
    exchange: Exchange,
    served: ServedModel,
    inputs: RequestInputs,
    threshold: float,
) -> Classifications:
    """The labels of each input.

    Raises:
        ApiError: naming the input that is invalid, or if the model does not classify.
    """
    with input_errors(inputs):
        check_threshold(threshold)
    run, outputs = await _head_outputs(service, exchange, served, inputs, CLASSES)
    return classifications(run, outputs, threshold)


async def predict(
    service: Service, exchange: Exchange, served: ServedModel, inputs: RequestInputs
) -> LabeledOutputs:
    """The probabilities of the labels, or the values, of each input.

    Raises:
        ApiError: naming the input that is invalid, or if the model predicts neither.
    """
    tasks = (*CLASSES, *VALUES)
    run, outputs = await _head_outputs(service, exchange, served, inputs, tasks)
    return LabeledOutputs(run.head.labels, outputs, run.probabilities(outputs))


async def rerank(
    service: Service,
    exchange: Exchange,
    served: ServedModel,
    query: str,
    documents: Sequence[str],
    *,
    param: str,
    options: RunOptions,
) -> Relevance:
    """Documents in the order in which they answer a query.

    Raises:
        ApiError: naming the document that is invalid, or if the model does not score pairs.
    """
    session = served.engine.encoder.session
    _require_head(served, SCORES)
    try:
        head = scoring_head(session)
    except InputError as error:
        raise ApiError(HTTPStatus.BAD_REQUEST, "unsupported_task", error.detail) from None
    if options.prompt is None and options.prompt_name is None:
        options = dataclasses.replace(options, prompt=query_prompt(session))
    inputs = RequestInputs([(query, document) for document in documents], param, options)
    run, outputs = await _head_outputs(service, exchange, served, inputs, (head.task,))
    result = ranking(run, outputs)
    scores = result.scores.astype(np.float64)
    if head.task == "values":
        with np.errstate(over="ignore"):
            scores = 1 / (1 + np.exp(-scores))
    return Relevance(result.order.tolist(), scores.tolist(), result.scores.tolist())


async def sparse(
    service: Service, exchange: Exchange, served: ServedModel, inputs: RequestInputs
) -> list[SparseVector]:
    """The weights of the terms of each input.

    Raises:
        ApiError: naming the input that is invalid, or if the model has no such head.
    """
    _require_head(served, TERMS)
    inputs = _without_prompt(inputs)
    fitted = await service.read(exchange, served, inputs)
    return await service.compute(exchange, served, Sparse(), fitted, inputs)


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


async def tag(
    service: Service, exchange: Exchange, served: ServedModel, inputs: RequestInputs
) -> list[TokenTags]:
    """The label of each token of each input.

    Raises:
        ApiError: naming the input that is invalid, or if the model has no such head.
    """
    run, states = await _head_states(service, exchange, served, inputs, TAGS)
    pairs = list(zip(run.fitted, states, strict=True))
    return await service.offload(lambda: [token_tags(run, f, x_LD) for f, x_LD in pairs])


async def fill_mask(
    service: Service, exchange: Exchange, served: ServedModel, inputs: RequestInputs, top: int
) -> list[list[MaskPrediction]]:
    """The most probable tokens for each mask of each input.

    Raises:
        ApiError: naming the input that is invalid or has no mask, or if the model has no such head.
    """
    run, states = await _head_states(service, exchange, served, inputs, TERMS)
    with input_errors(inputs):
        return await service.offload(lambda: mask_predictions(run, enumerate(states), top))


async def tokenize(
    service: Service, exchange: Exchange, served: ServedModel, inputs: RequestInputs
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
    inputs: RequestInputs,
    tasks: tuple[HeadTask, ...],
) -> tuple[HeadRun, np.ndarray]:
    """A run to the first head that the model has for one of the tasks, and its outputs (n, O)."""
    _require_head(served, tasks)
    session = served.engine.encoder.session
    head = session.heads.find(*tasks, purpose="this request")
    inputs = _without_prompt(inputs)
    fitted = await service.read(exchange, served, inputs)
    if head.pooling is None:
        raise ValueError(f"a head for {head.task} has outputs for each position")
    operation = Pool((head.pooling,), _prompt_options(served, inputs))
    pooled = await service.compute(exchange, served, operation, fitted, inputs)
    run = HeadRun(session, head, session.heads.weights(head), fitted, inputs.options)
    vectors = np.stack(pooled)
    return run, await service.offload(lambda: run.outputs_of_pooled(vectors))


async def _head_states(
    service: Service,
    exchange: Exchange,
    served: ServedModel,
    inputs: RequestInputs,
    tasks: tuple[HeadTask, ...],
) -> tuple[HeadRun, list[np.ndarray]]:
    """A run to a head that takes each position, and the last hidden states of each input."""
    _require_head(served, tasks)
    session = served.engine.encoder.session
    head = session.heads.find(*tasks, purpose="this request")
    inputs = _without_prompt(inputs)
    fitted = await service.read(exchange, served, inputs)
    states = await service.compute(exchange, served, Tokens(), fitted, inputs)
    return HeadRun(session, head, session.heads.weights(head), fitted, inputs.options), states


def _without_prompt(inputs: RequestInputs) -> RequestInputs:
    """Inputs for a head: heads are trained without prompts, unless the options choose one."""
    options = inputs.options
    if options.prompt is None and options.prompt_name is None:
        return dataclasses.replace(inputs, options=dataclasses.replace(options, prompt=""))
    return inputs


def _prompt_options(served: ServedModel, inputs: RequestInputs) -> RunOptions:
    """The options on which the positions depend that pooling leaves out.

    They are equal where nothing depends on them, so that more inputs share a batch.
    """
    if served.engine.encoder.spec.pooling.include_prompt:
        return RunOptions()
    options = inputs.options
    return RunOptions(prompt=options.prompt, prompt_name=options.prompt_name)


def _are_ids(inputs: RequestInputs) -> bool:
    return any(isinstance(row, np.ndarray) for row in inputs.rows)


def _require_head(served: ServedModel, tasks: tuple[HeadTask, ...]) -> None:
    """Refuse a request for which the model has no head.

    Raises:
        ApiError: with the heads that the model has.
    """
    if not served.has_head(tasks):
        available = ", ".join(served.engine.encoder.tasks) or "none"
        raise ApiError(
            HTTPStatus.BAD_REQUEST,
            "unsupported_task",
            f"this request needs a model with a head for {' or '.join(tasks)}; the heads of "
            f"{served.name!r}: {available}. GET /v1/models lists the tasks of each model",
            param="model",
        )
