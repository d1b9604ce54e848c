"""What a server computes with the heads of a model: labels, values, scores, terms, masks.

n inputs; C outputs of a head; L positions; D model width.
"""

import dataclasses
from collections.abc import Sequence
from http import HTTPStatus
from typing import NamedTuple

import numpy as np

from bothways.errors import InputError
from bothways.inference.options import RunOptions
from bothways.inference.predict.classify import Classifications, check_threshold, classifications
from bothways.inference.predict.fill_mask import MaskPrediction, mask_predictions
from bothways.inference.predict.head_run import HeadRun
from bothways.inference.predict.rerank import query_prompt, ranking, scoring_head
from bothways.inference.predict.sparse import SparseVector, check_sparse
from bothways.inference.predict.tag import TokenTags, token_tags
from bothways.model.heads import HeadTask
from bothways.server.engine import Pool, Sparse, Tokens
from bothways.server.errors import ApiError
from bothways.server.exchange import Exchange
from bothways.server.models import ServedModel
from bothways.server.operations import prompt_options
from bothways.server.service import RequestInputs, Service, input_errors

__all__ = [
    "LabeledOutputs",
    "Relevance",
    "can_classify",
    "can_fill_masks",
    "can_predict",
    "can_rerank",
    "can_tag",
    "can_weigh_terms",
    "classify",
    "fill_mask",
    "predict",
    "rerank",
    "sparse",
    "tag",
]

Tasks = tuple[HeadTask, ...]

CLASSES: Tasks = ("classes", "multilabel")
VALUES: Tasks = ("values",)
SCORES: Tasks = (*VALUES, *CLASSES)
TAGS: Tasks = ("tags",)
MASKED: Tasks = ("masked_tokens",)
"""Heads for labels, values, scores of pairs, labels of tokens, and masked tokens."""


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


def can_tag(served: ServedModel) -> bool:
    """Whether a model has a head for `tag`."""
    return served.has_head(TAGS)


def can_weigh_terms(served: ServedModel) -> bool:
    """Whether a model weighs the terms of a vocabulary."""
    try:
        check_sparse(served.engine.encoder.session, "sparse")
    except InputError:
        return False
    return True


def can_fill_masks(served: ServedModel) -> bool:
    """Whether a model has a head for `fill_mask`."""
    return served.has_head(MASKED)


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
    if not can_weigh_terms(served):
        _require_head(served, MASKED)
    inputs = _without_prompt(inputs)
    fitted = await service.read(exchange, served, inputs)
    return await service.compute(exchange, served, Sparse(), fitted, inputs)


async def tag(
    service: Service, exchange: Exchange, served: ServedModel, inputs: RequestInputs
) -> list[TokenTags]:
    """The label of each token of each input.

    Raises:
        ApiError: naming the input that is invalid, or if the model has no such head.
    """
    run, states = await _head_states(service, exchange, served, inputs, TAGS)
    with input_errors(inputs):
        return await service.offload(
            lambda: [token_tags(run, i, x_LD) for i, x_LD in enumerate(states)]
        )


async def fill_mask(
    service: Service, exchange: Exchange, served: ServedModel, inputs: RequestInputs, top: int
) -> list[list[MaskPrediction]]:
    """The most probable tokens for each mask of each input.

    Raises:
        ApiError: naming the input that is invalid or has no mask, or if the model has no such head.
    """
    run, states = await _head_states(service, exchange, served, inputs, MASKED)
    with input_errors(inputs):
        return await service.offload(lambda: mask_predictions(run, enumerate(states), top))


async def _head_outputs(
    service: Service,
    exchange: Exchange,
    served: ServedModel,
    inputs: RequestInputs,
    tasks: Tasks,
) -> tuple[HeadRun, np.ndarray]:
    """A run to the first head that the model has for one of the tasks, and its outputs (n, O)."""
    _require_head(served, tasks)
    session = served.engine.encoder.session
    head = session.heads.find(*tasks, purpose="this request")
    if head.pooling is None:
        raise ValueError(f"a head for {head.task} has outputs for each position")
    if head.pools_outputs:
        run, states = await _head_states(service, exchange, served, inputs, tasks)
        with input_errors(inputs):
            return run, await service.offload(lambda: run.outputs_of_states(states))
    inputs = _without_prompt(inputs)
    fitted = await service.read(exchange, served, inputs)
    operation = Pool((head.pooling,), prompt_options(served, inputs))
    pooled = await service.compute(exchange, served, operation, fitted, inputs)
    run = HeadRun(session, head, session.heads.weights(head), fitted, inputs.options)
    vectors = np.stack(pooled)
    with input_errors(inputs):
        return run, await service.offload(lambda: run.outputs_of_pooled(vectors))


async def _head_states(
    service: Service,
    exchange: Exchange,
    served: ServedModel,
    inputs: RequestInputs,
    tasks: Tasks,
) -> tuple[HeadRun, list[np.ndarray]]:
    """A run to a head that takes each position, and the last hidden states of each input."""
    _require_head(served, tasks)
    session = served.engine.encoder.session
    head = session.heads.find(*tasks, purpose="this request")
    inputs = _without_prompt(inputs)
    fitted = await service.read(exchange, served, inputs)
    states = await service.compute(exchange, served, Tokens(), fitted, inputs)
    weights = await service.offload(lambda: session.heads.weights(head))  # may read a file
    return HeadRun(session, head, weights, fitted, inputs.options), states


def _without_prompt(inputs: RequestInputs) -> RequestInputs:
    """Inputs for a head: heads are trained without prompts, unless the options choose one."""
    options = inputs.options
    if options.prompt is None and options.prompt_name is None:
        return dataclasses.replace(inputs, options=dataclasses.replace(options, prompt=""))
    return inputs


def _require_head(served: ServedModel, tasks: Tasks) -> None:
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
