"""Swagger UI from files of this installation: no outside host is asked.

Reused by every service: :func:`install`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.responses import HTMLResponse
from starlette.staticfiles import StaticFiles

if TYPE_CHECKING:
    from fastapi import FastAPI

# The page starts the interface by a script of its own, so scripts of the page are allowed; nothing from elsewhere is.
_POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; img-src 'self' data:"
)


def install(app: FastAPI, page: str) -> None:
    """Serve the interface.

    Args:
        app: its OpenAPI document is shown.
        page: path of the page, with a slash in front; its files are below it.
    """
    # Relative, so that the page works behind a proxy that adds a path in front.
    name = page.rsplit("/", 1)[1]

    async def show() -> HTMLResponse:
        html = get_swagger_ui_html(
            openapi_url=str(app.openapi_url).rsplit("/", 1)[1],
            title=app.title,
            swagger_js_url=f"{name}/files/swagger-ui-bundle.js",
            swagger_css_url=f"{name}/files/swagger-ui.css",
            swagger_favicon_url=f"{name}/files/favicon.png",
        )
        html.headers["Content-Security-Policy"] = _POLICY
        return html

    app.add_api_route(page, show, include_in_schema=False)
    app.mount(f"{page}/files", StaticFiles(packages=[("fastapi_offline", "static")]), name="swagger files")
