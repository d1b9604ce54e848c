"""The handler of POST /classify (vLLM)."""

import time
from collections.abc import Sequence
from http import HTTPStatus
from typing import Any

from bothways.server import operations, predictions
from bothways.server.api.openai import Usage
from bothways.server.api.vllm import ClassifyReply, ClassifyRequest, ClassifyRow
from bothways.server.errors import ApiError
from bothways.server.exchange import Exchange, Reply
from bothways.server.service import RequestInputs, Service

__all__ = ["ClassifyHandlers", "texts_and_pairs"]


class ClassifyHandlers:
    """Labels of texts and of pairs of texts."""

    def __init__(self, service: Service) -> None:
        self._service = service

    async def classify(self, exchange: Exchange) -> Reply:
        """The label of each input, with the probabilities of all labels."""
        request = await exchange.read(ClassifyRequest)
        served = await self._service.find(exchange, request.model, predictions.can_classify)
        values = [request.input] if isinstance(request.input, str) else request.input
        self._service.runtime.admission.check_inputs(len(values), param="input")
        inputs = RequestInputs(
            texts_and_pairs(values, "input"),
            "input",
            operations.run_options(served, on_overflow=request.on_overflow),
            single=isinstance(request.input, str),
        )
        result = await predictions.classify(
            self._service, exchange, served, inputs, request.threshold
        )
        labels: Sequence[str | list[str]] = result.labels
        shares = result.probabilities.tolist()
        rows = [
            ClassifyRow(index=i, label=label, probs=probabilities, num_classes=len(result.names))
            for i, (label, probabilities) in enumerate(zip(labels, shares, strict=True))
        ]
        return Reply(
            ClassifyReply(
                id=exchange.id,
                created=int(time.time()),
                model=served.name,
                data=rows,
                labels=list(result.names),
                usage=Usage(prompt_tokens=exchange.tokens, total_tokens=exchange.tokens),
                truncated=exchange.truncated,
            ),
            numbers=result.probabilities.size,
        )


def texts_and_pairs(values: Sequence[str | list[str]], param: str) -> list[Any]:
    """Texts, from a text or a list of one, and pairs, from lists of two.

    Raises:
        ApiError: naming the list that has another length.
    """
    rows: list[Any] = []
    for index, value in enumerate(values):
        if isinstance(value, str) or len(value) == 1:
            rows.append(value if isinstance(value, str) else value[0])
        elif len(value) == 2:
            rows.append(tuple(value))
        else:
            raise ApiError(
                HTTPStatus.BAD_REQUEST,
                "invalid_value",
                f"{param}[{index}]: {len(value)} texts; expected a text, or a pair of texts",
                param=f"{param}[{index}]",
            )
    return rows
