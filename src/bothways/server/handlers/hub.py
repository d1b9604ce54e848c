"""The handler of POST /, where the client of huggingface_hub sends every task.

The client does not say which task it is. What `inputs` is, whether there are `parameters`, and the
heads of the model decide.
"""

from http import HTTPStatus
from typing import Any

import msgspec

from bothways.inference.predict.fill_mask import MaskPrediction
from bothways.inference.predict.tag import TokenTags
from bothways.server import operations, predictions
from bothways.server.api.tei import (
    FilledMask,
    HubParameters,
    HubRequest,
    SimilarityRequest,
    TaggedToken,
)
from bothways.server.errors import ApiError
from bothways.server.exchange import Exchange, Reply
from bothways.server.handlers.options import overflow_of
from bothways.server.handlers.tei import TeiHandlers
from bothways.server.models import ServedModel
from bothways.server.service import RequestInputs, Service

__all__ = ["HubHandlers"]

_DEFAULT_TOP = 5

_OUTSIDE = ["O"]
"""Labels of tokens that are left out by default, as in transformers."""


class _Peek(msgspec.Struct, kw_only=True):
    """What decides how a body is read."""

    inputs: msgspec.Raw


class HubHandlers:
    """All tasks of the client of huggingface_hub, at one path."""

    def __init__(self, service: Service, tei: TeiHandlers) -> None:
        self._service = service
        self._tei = tei

    async def root(self, exchange: Exchange) -> Reply:
        """POST /: similarities, a prediction or vectors."""
        body = await exchange.read_bytes()
        if bytes(exchange.decode(body, _Peek).inputs).lstrip().startswith(b"{"):
            similarity = exchange.decode(body, SimilarityRequest)
            return await self._tei.similarity_request(exchange, similarity)
        request = exchange.decode(body, HubRequest)
        if request.parameters is None:
            return await self._tei.embed_request(exchange, request)
        return await self._predict(exchange, request, request.parameters)

    async def _predict(
        self, exchange: Exchange, request: HubRequest, parameters: HubParameters
    ) -> Reply:
        served = await self._service.find(exchange, request.model)
        text = request.inputs
        if isinstance(text, str) and _has_mask(served, text):
            return await self._fill_mask(exchange, served, text, parameters)
        if predictions.can_predict(served):
            return await self._classify(exchange, request, parameters)
        if isinstance(text, str) and predictions.can_tag(served):
            return await self._tag(exchange, served, text, parameters)
        raise ApiError(
            HTTPStatus.BAD_REQUEST,
            "unsupported_task",
            f"the model {served.name!r} has no head for this request; without `parameters`, the "
            "reply has vectors",
            param="parameters",
        )

    async def _classify(
        self, exchange: Exchange, request: HubRequest, parameters: HubParameters
    ) -> Reply:
        if parameters.function_to_apply in ("sigmoid", "softmax"):
            raise ApiError(
                HTTPStatus.BAD_REQUEST,
                "invalid_option",
                "function_to_apply: the model's own function is applied; expected none, or nothing",
                param="parameters.function_to_apply",
            )
        values: Any = request.inputs
        rows = await self._tei.predict_rows(
            exchange,
            [values] if isinstance(values, str) else values,
            model=request.model,
            truncate=parameters.truncate,
            raw_scores=parameters.function_to_apply == "none",
            single=isinstance(values, str),
        )
        return Reply([row[: parameters.top_k] for row in rows])

    async def _tag(
        self, exchange: Exchange, served: ServedModel, text: str, parameters: HubParameters
    ) -> Reply:
        (tags,) = await predictions.tag(
            self._service, exchange, served, _single(served, text, parameters)
        )
        ignored = _OUTSIDE if parameters.ignore_labels is None else parameters.ignore_labels
        return Reply([token for token in _tagged(tags) if token.entity not in ignored])

    async def _fill_mask(
        self, exchange: Exchange, served: ServedModel, text: str, parameters: HubParameters
    ) -> Reply:
        top = _DEFAULT_TOP if parameters.top_k is None else parameters.top_k
        inputs = _single(served, text, parameters)
        (masks,) = await predictions.fill_mask(self._service, exchange, served, inputs, top)
        name = served.engine.encoder.mask_token
        filled = [_filled(mask, text, name, place) for place, mask in enumerate(masks)]
        return Reply(filled[0] if len(filled) == 1 else filled)


def _single(served: ServedModel, text: str, parameters: HubParameters) -> RequestInputs:
    options = operations.run_options(
        served,
        prompt_name=parameters.prompt_name,
        on_overflow=overflow_of(parameters.truncate),
    )
    return RequestInputs([text], "inputs", options, single=True)


def _has_mask(served: ServedModel, text: str) -> bool:
    return predictions.can_fill_masks(served) and served.engine.encoder.mask_token in text


def _tagged(tags: TokenTags) -> list[TaggedToken]:
    spans = [(None, None)] * len(tags.tokens) if tags.offsets is None else tags.offsets.tolist()
    return [
        TaggedToken(entity=label, score=float(row.max()), word=token, start=span[0], end=span[1])
        for label, row, token, span in zip(
            tags.labels, tags.probabilities, tags.tokens, spans, strict=True
        )
        if label is not None
    ]


def _filled(mask: MaskPrediction, text: str, name: str, place: int) -> list[FilledMask]:
    """The tokens for a mask, and the text with each in the place of the n-th mask."""
    before = text.split(name)
    head, tail = name.join(before[: place + 1]), name.join(before[place + 1 :])
    return [
        FilledMask(score=score, token=index, token_str=token, sequence=f"{head}{token}{tail}")
        for score, index, token in zip(
            mask.probabilities.tolist(), mask.ids.tolist(), mask.tokens, strict=True
        )
    ]
