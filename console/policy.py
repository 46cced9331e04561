"""The content security policy of every page (console reference, 11.9): nothing inline, nothing from outside.

A page that needs more says so for its own answer: `allow(request, "frame-src", "https://chat.example")`.
"""

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
# What may be widened; scripts only for the one page element that comes from outside (Turnstile).
WIDENED = frozenset({"script-src", "img-src", "form-action", "frame-src", "connect-src"})


def origin_of(address: str) -> str:
    """`https://host[:port]` of a web address, "" of anything else; what is no host name in ASCII is nothing either."""
    try:
        parts = urlsplit(address.strip())
        port = parts.port
    except ValueError:
        return ""
    host = parts.hostname or ""
    if parts.scheme not in ("http", "https") or not _plain(host):
        return ""
    host = f"[{host}]" if ":" in host else host
    return f"{parts.scheme}://{host}" if port is None else f"{parts.scheme}://{host}:{port}"


def allow(request: HttpRequest, directive: str, source: str) -> None:
    """Let this one answer use a source more: "'self'", or the origin of a web address. Anything else adds nothing."""
    assert directive in WIDENED
    origin = source if source == "'self'" else origin_of(source)
    if origin:
        added = _added(request).setdefault(directive, [])
        if origin not in added:
            added.append(origin)


def allow_images_of(request: HttpRequest, address: str) -> None:
    """Let this one answer show images of the origin of `address`, which the operator has set (a logo by link)."""
    allow(request, "img-src", address)


def policy(request: HttpRequest) -> str:
    """The header's value for the answer to this request."""
    directives = dict(DIRECTIVES)
    for directive, sources in _added(request).items():
        directives[directive] = " ".join([*directives.get(directive, "").split(), *sources])
    return "; ".join(f"{name} {sources}" for name, sources in directives.items())


def _plain(host: str) -> bool:
    """Nothing that would end a source or a directive of the header."""
    return bool(host) and host.isascii() and not set(host) & set(" \t\r\n;,'\"*\\")


def _added(request: HttpRequest) -> dict[str, list[str]]:
    added: dict[str, list[str]] | None = getattr(request, "_policy_sources", None)
    if added is None:
        added = {}
        request._policy_sources = added  # type: ignore[attr-defined]
    return added
