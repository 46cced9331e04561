"""The content security policy of every page (console reference, 11.9): nothing inline, nothing from outside."""

from __future__ import annotations

from urllib.parse import urlsplit

from django.http import HttpRequest

DIRECTIVES = {
    "default-src": "'none'",
    "script-src": "'self'",
    "style-src": "'self'",
    "img-src": "'self' data:",
    "font-src": "'self'",
    "connect-src": "'self'",
    "form-action": "'self'",
    "base-uri": "'none'",
    "frame-ancestors": "'none'",
    "object-src": "'none'",
}


def allow_images_of(request: HttpRequest, address: str) -> None:
    """Let this one answer show images of the origin of `address`, which the operator has set (a logo by link)."""
    parts = urlsplit(address)
    if parts.scheme in ("http", "https") and parts.hostname:
        host = parts.hostname if parts.port is None else f"{parts.hostname}:{parts.port}"
        request.image_origin = f"{parts.scheme}://{host}"  # type: ignore[attr-defined]


def policy(request: HttpRequest) -> str:
    """The header's value for the answer to this request."""
    directives = dict(DIRECTIVES)
    if origin := getattr(request, "image_origin", ""):
        directives["img-src"] += f" {origin}"
    return "; ".join(f"{name} {sources}" for name, sources in directives.items())
