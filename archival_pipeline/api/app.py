"""The app factory: an app with envelope, errors, tokens, OpenAPI document, Swagger UI and metrics, and no routes yet.

Reused by every service: :func:`create_app`, then ``include_router``. Routes find what they share on ``app.state``:
``tokens`` (:class:`~archival_pipeline.api.auth.TokenChecker`), ``limits``, ``metrics``, and whatever the service adds.
"""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from archival_pipeline.api import errors, swagger
from archival_pipeline.api.auth import Introspection, Nobody
from archival_pipeline.api.envelope import REQUEST_ID_HEADER, Envelope
from archival_pipeline.api.metrics import HttpMetrics

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping, Sequence

    from archival_pipeline.api.auth import TokenChecker
    from archival_pipeline.settings_api import LimitSettings, SecuritySettings


@dataclass(frozen=True, slots=True, kw_only=True)
class About:
    """What an app says about itself.

    Attributes:
        title: of the OpenAPI document.
        description: of the OpenAPI document, Markdown.
        version: of the OpenAPI document.
        base: path in front of everything, with a slash in front and none behind.
        tags: the groups of routes with their descriptions.
        slow_paths: paths that may take longer than the others, in seconds.
    """

    title: str
    description: str
    version: str
    base: str
    tags: Sequence[Mapping[str, str]] = ()
    slow_paths: Mapping[str, float] = field(default_factory=dict)


def tokens_of(security: SecuritySettings) -> TokenChecker:
    """The checker that the settings ask for."""
    return Introspection(security) if security.enabled else Nobody()


def create_app(
    about: About, limits: LimitSettings, tokens: TokenChecker, close: Callable[[], None] = lambda: None
) -> FastAPI:
    """An app without routes.

    Args:
        about: what it says about itself.
        limits: what one caller may take.
        tokens: who may call; closed with the app.
        close: called when the app ends.
    """

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        await tokens.close()
        close()

    app = FastAPI(
        title=about.title,
        description=about.description,
        version=about.version,
        openapi_tags=[dict(tag) for tag in about.tags],
        openapi_url=f"{about.base}/api-docs-json",
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        lifespan=lifespan,
    )
    metrics = HttpMetrics()
    app.state.tokens, app.state.limits, app.state.metrics = tokens, limits, metrics
    app.add_middleware(
        Envelope,
        body_bytes=limits.body_bytes,
        seconds=limits.request_seconds,
        slow_paths=about.slow_paths,
        metrics=metrics,
    )
    errors.install(app)
    swagger.install(app, f"{about.base}/api-docs")
    app.openapi = lambda: document(app)  # type: ignore[method-assign]
    return app


_REQUEST_ID = {
    "description": "Id of the request, as sent or made; it stands in every log line of the request.",
    "schema": {"type": "string"},
}


def document(app: FastAPI) -> dict[str, Any]:
    """The OpenAPI document, made once.

    The framework adds its own form of a validation error to each route; here those are answered with 400 and our body.
    """
    if app.openapi_schema is None:
        made = get_openapi(
            title=app.title,
            version=app.version,
            description=app.description,
            routes=app.routes,
            tags=app.openapi_tags,
        )
        for path in made["paths"].values():
            for operation in path.values():
                operation["responses"].pop("422", None)
                for response in operation["responses"].values():
                    response.setdefault("headers", {})[REQUEST_ID_HEADER] = _REQUEST_ID
        for name in ("HTTPValidationError", "ValidationError"):
            made.get("components", {}).get("schemas", {}).pop(name, None)
        app.openapi_schema = made
    return app.openapi_schema
