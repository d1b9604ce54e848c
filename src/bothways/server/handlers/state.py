"""Handlers of GET /health, /ready, /metrics and /v1/models, and of unknown paths."""

from http import HTTPStatus

from bothways.server.api.openai import ModelList
from bothways.server.errors import ApiError
from bothways.server.exchange import Exchange, Reply
from bothways.server.metrics import METRICS_TYPE
from bothways.server.runtime import Runtime
from bothways.server.service import Service

__all__ = ["StateHandlers"]


class StateHandlers:
    """Handlers that say how the server is, and what it serves."""

    def __init__(self, runtime: Runtime, service: Service) -> None:
        self._runtime = runtime
        self._service = service

    async def health(self, exchange: Exchange) -> Reply:
        """Whether the process answers."""
        return Reply({"status": "ok"})

    async def ready(self, exchange: Exchange) -> Reply:
        """Whether the models are loaded, and more requests are welcome."""
        runtime = self._runtime
        await runtime.wait_if_not_served()
        if runtime.is_ready:
            return Reply({"status": "ready"})
        status = runtime.state if runtime.is_computing else "failed"
        return Reply({"status": status}, status=HTTPStatus.SERVICE_UNAVAILABLE)

    async def metrics(self, exchange: Exchange) -> Reply:
        """The metrics for Prometheus."""
        return Reply(self._runtime.metrics.text(), media_type=METRICS_TYPE)

    async def models(self, exchange: Exchange) -> Reply:
        """The models that are served."""
        await self._runtime.wait_if_not_served()
        return Reply(ModelList(data=[m.describe() for m in self._runtime.models.values()]))

    async def model(self, exchange: Exchange) -> Reply:
        """One of the models that are served."""
        name = exchange.scope["path_params"]["name"]
        return Reply((await self._service.find(exchange, name)).describe())

    async def not_found(self, exchange: Exchange) -> Reply:
        """No such path."""
        raise ApiError(
            HTTPStatus.NOT_FOUND,
            "unknown_path",
            "no such path; POST /v1/embeddings, /v1/rerank, /classify, /predict and others answer, "
            "and GET /v1/models lists the models",
        )
