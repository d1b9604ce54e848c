"""Handlers of POST /v1/rerank (Jina) and /rerank (Jina and text-embeddings-inference)."""

from collections.abc import Sequence
from http import HTTPStatus

from bothways.server import operations, predictions
from bothways.server.api.jina import Document, RerankReply, RerankRequest, RerankResult
from bothways.server.api.openai import Usage
from bothways.server.api.tei import Rank, RankRequest
from bothways.server.errors import ApiError
from bothways.server.exchange import Exchange, Reply
from bothways.server.handlers.options import overflow_of
from bothways.server.predictions import Relevance
from bothways.server.service import Service

__all__ = ["RerankHandlers"]


class RerankHandlers:
    """Documents in the order in which they answer a query."""

    def __init__(self, service: Service) -> None:
        self._service = service

    async def jina(self, exchange: Exchange) -> Reply:
        """POST /v1/rerank."""
        return await self._jina(exchange, await exchange.read(RerankRequest))

    async def either(self, exchange: Exchange) -> Reply:
        """POST /rerank: `texts` means text-embeddings-inference, `documents` means Jina."""
        body = await exchange.read_bytes()
        request = exchange.decode(body, RankRequest)
        if request.texts is None and request.documents is None:
            raise ApiError(
                HTTPStatus.BAD_REQUEST,
                "invalid_value",
                "expected texts, as text-embeddings-inference has them, or documents, as Jina has",
            )
        if request.texts is not None:
            return await self._tei(exchange, request, request.texts)
        return await self._jina(exchange, exchange.decode(body, RerankRequest))

    async def _jina(self, exchange: Exchange, request: RerankRequest) -> Reply:
        texts = [d.text if isinstance(d, Document) else d for d in request.documents]
        if request.top_n is not None and request.top_n < 1:
            raise ApiError(
                HTTPStatus.BAD_REQUEST,
                "invalid_value",
                f"top_n: got {request.top_n}; expected at least 1",
                param="top_n",
            )
        relevance = await self._rank(
            exchange,
            request.model,
            request.query,
            texts,
            param="documents",
            prompt=request.prompt,
            prompt_name=request.prompt_name,
            on_overflow=request.on_overflow,
        )
        scores = relevance.raw if request.raw_scores else relevance.scores
        results = [
            RerankResult(
                index=index,
                relevance_score=scores[index],
                document=Document(text=texts[index]) if request.return_documents else None,
            )
            for index in relevance.order[: request.top_n]
        ]
        return Reply(
            RerankReply(
                id=exchange.id,
                model=exchange.model,
                results=results,
                usage=Usage(prompt_tokens=exchange.tokens, total_tokens=exchange.tokens),
                truncated=exchange.truncated,
            )
        )

    async def _tei(self, exchange: Exchange, request: RankRequest, texts: list[str]) -> Reply:
        relevance = await self._rank(
            exchange,
            request.model,
            request.query,
            texts,
            param="texts",
            on_overflow=overflow_of(request.truncate),
        )
        scores = relevance.raw if request.raw_scores else relevance.scores
        return Reply(
            [
                Rank(
                    index=index,
                    score=scores[index],
                    text=texts[index] if request.return_text else None,
                )
                for index in relevance.order
            ]
        )

    async def _rank(
        self,
        exchange: Exchange,
        model: str | None,
        query: str,
        texts: Sequence[str],
        *,
        param: str,
        prompt: str | None = None,
        prompt_name: str | None = None,
        on_overflow: str | None = None,
    ) -> Relevance:
        served = await self._service.find(exchange, model, predictions.can_rerank)
        self._service.runtime.admission.check_inputs(len(texts), param=param)
        options = operations.run_options(
            served, prompt=prompt, prompt_name=prompt_name, on_overflow=on_overflow
        )
        return await predictions.rerank(
            self._service, exchange, served, query, texts, param=param, options=options
        )
