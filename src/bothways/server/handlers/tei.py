"""Handlers of the routes of text-embeddings-inference."""

from collections.abc import Callable, Iterable
from http import HTTPStatus
from typing import Any

import numpy as np

import bothways
from bothways.inference.options import VectorOptions
from bothways.sequences import FittedSequence
from bothways.server import operations, predictions
from bothways.server.api.tei import (
    EmbedRequest,
    Prediction,
    PredictRequest,
    SimilarityRequest,
    SimpleToken,
    SparseValue,
    TextsRequest,
    TokenizeRequest,
)
from bothways.server.errors import ApiError
from bothways.server.exchange import Exchange, Reply, encode_rows
from bothways.server.handlers.classify import texts_and_pairs
from bothways.server.handlers.embeddings import as_list
from bothways.server.handlers.options import overflow_of
from bothways.server.models import ServedModel
from bothways.server.predictions import LabeledOutputs
from bothways.server.service import RequestInputs, Service

__all__ = ["ArrayReply", "TeiHandlers", "labels_of"]


class ArrayReply(Reply):
    """Arrays as nested lists, whose numbers are written when the body is."""

    def __init__(self, arrays: Iterable[np.ndarray]) -> None:
        self._arrays = list(arrays)
        super().__init__(b"", numbers=sum(map(np.size, self._arrays)))

    def body(self) -> bytes:
        """The bytes of the body."""
        largest = max(map(np.size, self._arrays), default=1)
        return encode_rows(self._arrays, np.ndarray.tolist, largest)


class TeiHandlers:
    """Vectors, token vectors, sparse vectors, predictions, similarities and tokens."""

    def __init__(self, service: Service) -> None:
        self._service = service

    async def embed(self, exchange: Exchange) -> Reply:
        """POST /embed: a vector for each input."""
        return await self.embed_request(exchange, await exchange.read(EmbedRequest))

    async def embed_request(self, exchange: Exchange, request: EmbedRequest) -> Reply:
        """A vector for each input of a request that is read."""
        served, inputs = await self._inputs(exchange, request)
        vector = VectorOptions(normalize=request.normalize, dimensions=request.dimensions)
        vectors, _ = await operations.embed(self._service, exchange, served, inputs, vector)
        return ArrayReply(vectors)

    async def embed_all(self, exchange: Exchange) -> Reply:
        """POST /embed_all: a vector for each token of each input."""
        served, inputs = await self._inputs(exchange, await exchange.read(TextsRequest))
        return ArrayReply(await operations.token_vectors(self._service, exchange, served, inputs))

    async def embed_sparse(self, exchange: Exchange) -> Reply:
        """POST /embed_sparse: the weights of the terms of each input."""
        request = await exchange.read(TextsRequest)
        served, inputs = await self._inputs(exchange, request, predictions.can_weigh_terms)
        vectors = await predictions.sparse(self._service, exchange, served, inputs)
        rows = [
            [
                SparseValue(index=index, value=value)
                for index, value in zip(v.indices.tolist(), v.data.tolist(), strict=True)
            ]
            for v in vectors
        ]
        return Reply(rows, numbers=2 * sum(map(len, rows)))

    async def predict(self, exchange: Exchange) -> Reply:
        """POST /predict: the labels of an input, the best first; of each of several."""
        request = await exchange.read(PredictRequest)
        values = request.inputs
        # A list of texts is a single one or a pair; several are lists in a list.
        single = isinstance(values, str) or any(isinstance(value, str) for value in values)
        rows: list[Any] = [values] if single else list(values)
        rows = await self.predict_rows(
            exchange,
            rows,
            model=request.model,
            truncate=request.truncate,
            raw_scores=request.raw_scores,
            single=single,
        )
        return Reply(rows[0] if single else rows)

    async def predict_rows(
        self,
        exchange: Exchange,
        values: list[Any],
        *,
        model: str | None,
        truncate: bool | None,
        raw_scores: bool,
        single: bool,
    ) -> list[list[Prediction]]:
        """The labels of each input, the best first."""
        served = await self._service.find(exchange, model, predictions.can_predict)
        self._service.runtime.admission.check_inputs(len(values), param="inputs")
        options = operations.run_options(served, on_overflow=overflow_of(truncate))
        inputs = RequestInputs(texts_and_pairs(values, "inputs"), "inputs", options, single=single)
        outputs = await predictions.predict(self._service, exchange, served, inputs)
        return labels_of(outputs, raw_scores=raw_scores)

    async def similarity(self, exchange: Exchange) -> Reply:
        """POST /similarity: the cosine of a sentence with each of several."""
        return await self.similarity_request(exchange, await exchange.read(SimilarityRequest))

    async def similarity_request(self, exchange: Exchange, request: SimilarityRequest) -> Reply:
        """The cosine of a sentence with each of several, of a request that is read."""
        sentences, parameters = request.inputs.sentences, request.parameters
        served = await self._service.find(exchange, request.model)
        self._service.runtime.admission.check_inputs(len(sentences), param="sentences")
        options = operations.run_options(
            served,
            prompt_name=parameters.prompt_name,
            on_overflow=overflow_of(parameters.truncate),
        )
        inputs = RequestInputs([*sentences, request.inputs.source_sentence], "sentences", options)
        vector = VectorOptions(normalize=True)
        vectors, _ = await operations.embed(self._service, exchange, served, inputs, vector)
        # In float64, and a row at a time: equal sentences have equal similarities.
        wide = vectors.astype(np.float64)
        return Reply([float(np.dot(row, wide[-1])) for row in wide[:-1]])

    async def tokenize(self, exchange: Exchange) -> Reply:
        """POST /tokenize: the tokens of each input."""
        request = await exchange.read(TokenizeRequest)
        single = isinstance(request.inputs, str)
        values = [request.inputs] if isinstance(request.inputs, str) else request.inputs
        served = await self._service.find(exchange, request.model)
        self._service.runtime.admission.check_inputs(len(values), param="inputs")
        options = operations.run_options(
            served, prompt_name=request.prompt_name, on_overflow="window"
        )
        inputs = RequestInputs(values, "inputs", options, single=single)
        fitted = await operations.tokenize(self._service, exchange, served, inputs)
        return Reply([_tokens(f, special=request.add_special_tokens) for f in fitted])

    async def info(self, exchange: Exchange) -> Reply:
        """GET /info: the first model, and the limits of the server."""
        served = await self._service.find(exchange, next(iter(self._service.runtime.models), None))
        limits = self._service.runtime.admission.limits
        encoder = served.engine.encoder
        return Reply(
            {
                "model_id": served.name,
                "model_sha": None,
                "model_dtype": encoder.backend.precision,
                "model_type": {"embedding": {"pooling": "+".join(encoder.spec.pooling.modes)}},
                "max_concurrent_requests": limits.max_requests,
                "max_input_length": encoder.max_length,
                "max_batch_tokens": served.engine.budget,
                "max_batch_requests": None,
                "max_client_batch_size": limits.max_inputs,
                "auto_truncate": served.settings.on_overflow == "truncate",
                "tokenization_workers": 1,
                "version": bothways.__version__,
                "fingerprint": served.engine.fingerprint,
            }
        )

    async def _inputs(
        self,
        exchange: Exchange,
        request: TextsRequest,
        suits: Callable[[ServedModel], bool] | None = None,
    ) -> tuple[ServedModel, RequestInputs]:
        served = await self._service.find(exchange, request.model, suits)
        values = as_list(request.inputs, "inputs")
        self._service.runtime.admission.check_inputs(len(values), param="inputs")
        options = operations.run_options(
            served,
            prompt_name=request.prompt_name,
            on_overflow=overflow_of(request.truncate),
        )
        rows = operations.as_rows(served, values, "inputs")
        return served, RequestInputs(
            rows, "inputs", options, single=isinstance(request.inputs, str)
        )


def labels_of(outputs: LabeledOutputs, *, raw_scores: bool) -> list[list[Prediction]]:
    """The labels of each input with their scores, the best first."""
    scores = outputs.outputs if raw_scores else outputs.scores
    order = np.argsort(-scores, axis=1, kind="stable")
    return [
        [Prediction(score=float(row[i]), label=outputs.labels[i]) for i in best]
        for row, best in zip(scores, order.tolist(), strict=True)
    ]


def _tokens(fitted: FittedSequence, *, special: bool) -> list[SimpleToken]:
    tokenized = fitted.tokenized
    if tokenized.values.ndim != 1:
        raise ApiError(
            HTTPStatus.BAD_REQUEST, "unsupported_task", "this model reads series, without tokens"
        )
    is_special = np.ones(len(tokenized), dtype=bool)
    is_special[fitted.content_positions] = False
    spans = [None] * len(tokenized) if tokenized.offsets is None else tokenized.offsets.tolist()
    rows = zip(tokenized.values.tolist(), tokenized.tokens, spans, is_special.tolist(), strict=True)
    return [
        SimpleToken(
            id=index,
            text=token,
            special=hidden,
            start=None if hidden or span is None else span[0],
            stop=None if hidden or span is None else span[1],
        )
        for index, token, span, hidden in rows
        if special or not hidden
    ]
