"""The ASGI application: paths and their handlers."""

import contextlib
from collections.abc import AsyncIterator

from starlette.middleware.cors import CORSMiddleware
from starlette.routing import Route, Router
from starlette.types import ASGIApp, Receive, Scope, Send

from bothways.server.api import ApiDialect
from bothways.server.api.openai import OPENAI
from bothways.server.api.tei import TEI
from bothways.server.endpoint import Endpoint, Handler
from bothways.server.handlers.classify import ClassifyHandlers
from bothways.server.handlers.embeddings import EmbeddingHandlers
from bothways.server.handlers.hub import HubHandlers
from bothways.server.handlers.page import PageHandler
from bothways.server.handlers.rerank import RerankHandlers
from bothways.server.handlers.state import StateHandlers
from bothways.server.handlers.tei import TeiHandlers
from bothways.server.runtime import Runtime
from bothways.server.service import Service

__all__ = ["Application"]

_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")


class Application:
    """The ASGI application of a runtime."""

    def __init__(self, runtime: Runtime) -> None:
        self.runtime = runtime
        table = _RouteTable(runtime)
        app: ASGIApp = Router(
            table.routes, default=table.not_found, lifespan=self._lifespan, redirect_slashes=False
        )
        if origins := runtime.settings.server.cors_origins:
            app = CORSMiddleware(
                app,
                allow_origins=list(origins),
                allow_methods=["GET", "POST"],
                allow_headers=["Authorization", "Content-Type", "X-Request-Id"],
                expose_headers=["X-Request-Id", "X-Bothways-Truncated", "Server-Timing"],
            )
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or start and stop with the server."""
        await self._app(scope, receive, send)

    @contextlib.asynccontextmanager
    async def _lifespan(self, app: ASGIApp) -> AsyncIterator[None]:
        self.runtime.start()
        try:
            yield
        finally:
            self.runtime.stop()


class _RouteTable:
    """The routes of all dialects."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self.routes: list[Route] = []
        service = Service(runtime)
        state = StateHandlers(runtime, service)
        self.not_found = Endpoint(runtime, "", state.not_found, OPENAI, methods=_METHODS)
        self._add_get("/health", state.health, is_probe=True)
        self._add_get("/ready", state.ready, is_probe=True)
        if not runtime.settings.server.metrics_address:
            self._add_get("/metrics", state.metrics)
        self._add_get("/v1/models", state.models)
        self._add_get("/v1/models/{name:path}", state.model)
        embeddings = EmbeddingHandlers(service).embeddings
        self._add_post(("/v1/embeddings", "/embeddings"), embeddings, OPENAI)
        rerank, classify = RerankHandlers(service), ClassifyHandlers(service).classify
        self._add_post(("/v1/rerank",), rerank.jina, OPENAI)
        self._add_post(("/classify", "/v1/classify"), classify, OPENAI)
        if runtime.settings.server.page:
            self._add_page()
        tei = TeiHandlers(service)
        self._add_get("/info", tei.info)
        for path, handler in {
            "/": HubHandlers(service, tei).root,
            "/embed": tei.embed,
            "/embed_all": tei.embed_all,
            "/embed_sparse": tei.embed_sparse,
            "/predict": tei.predict,
            "/rerank": rerank.either,
            "/similarity": tei.similarity,
            "/tokenize": tei.tokenize,
        }.items():
            self._add_post((path,), handler, TEI)

    def _add_page(self) -> None:
        """The page at /, where POST answers the client of huggingface_hub."""
        endpoint = Endpoint(
            self._runtime, "/", PageHandler().page, OPENAI, methods=("GET",), is_open=True
        )
        self.routes.append(Route("/", endpoint, methods=["GET"]))

    def _add_get(self, path: str, handler: Handler, *, is_probe: bool = False) -> None:
        endpoint = Endpoint(
            self._runtime, path, handler, OPENAI, methods=("GET",), is_probe=is_probe
        )
        self.routes.append(Route(path, endpoint))

    def _add_post(self, paths: tuple[str, ...], handler: Handler, dialect: ApiDialect) -> None:
        for path in paths:
            self.routes.append(Route(path, Endpoint(self._runtime, path, handler, dialect)))
