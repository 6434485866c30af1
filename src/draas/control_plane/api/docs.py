"""The page to read and try the API on; everything it needs is served here (no internet)."""

from __future__ import annotations

from pathlib import Path

from fastapi import APIRouter
from fastapi.openapi.docs import get_swagger_ui_html
from starlette.requests import Request
from starlette.responses import FileResponse, RedirectResponse, Response

import draas.web
from draas.contract.problems import ProblemError

router = APIRouter(include_in_schema=False)
_STATIC = Path(draas.web.__file__).parent / "static" / "swagger-ui"
_FILES = {
    "swagger-ui-bundle.js": "text/javascript",
    "swagger-ui.css": "text/css",
    "favicon-32x32.png": "image/png",
}


@router.get("/docs")
async def page(_request: Request) -> Response:
    """The page."""
    return get_swagger_ui_html(
        openapi_url="/openapi/v1.json",
        title="DRaaS control plane",
        swagger_js_url="/docs/swagger-ui-bundle.js",
        swagger_css_url="/docs/swagger-ui.css",
        swagger_favicon_url="/docs/favicon-32x32.png",
        # The default asks a validator on the internet about the document.
        swagger_ui_parameters={"validatorUrl": None},
    )


@router.get("/")
@router.get("/scalar/v1")
@router.get("/swagger")
async def elsewhere(_request: Request) -> Response:
    """Where people begin, and where the prototype had its page or said so (contract 2.3)."""
    return RedirectResponse("/docs")


@router.get("/docs/{name}")
async def file(request: Request) -> Response:
    """A file of the page."""
    name = str(request.path_params["name"])
    if name not in _FILES:
        raise ProblemError("route-not-found", f"/docs has no {name[:100]!r}")
    return FileResponse(_STATIC / name, media_type=_FILES[name])
