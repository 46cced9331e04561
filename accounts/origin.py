"""Which pages may speak for the person in front of them: our own (remedy S7). Browsers say where a call comes from."""

from __future__ import annotations

from urllib.parse import urlsplit

from django.conf import settings
from django.http import HttpRequest
from django.middleware.csrf import CsrfViewMiddleware

from options.services import load

PORTS = {"http": 80, "https": 443}


def is_foreign(request: HttpRequest) -> bool:
    """Whether a browser sent this for a page of another site. A script says nothing of pages, and is not foreign."""
    site = request.headers.get("Sec-Fetch-Site", "")
    if site in ("same-origin", "none"):  # browsers alone can write it; right also where a proxy rewrites Host
        return False
    source = request.headers.get("Origin") or request.headers.get("Referer")
    if not source:
        return bool(site)  # a browser, told to keep quiet about the page it comes from
    return not _is_ours(source, request)


class FormsOfOurs(CsrfViewMiddleware):
    """A form's token, and where it was sent from.

    Django alone wants the scheme of Origin to be the request's, and refuses every form where a proxy took TLS off
    without being trusted to say so (TRUSTED_PROXIES).
    """

    def _origin_verified(self, request: HttpRequest) -> bool:
        return bool(super()._origin_verified(request)) or not is_foreign(request)  # type: ignore[misc]


def _is_ours(source: str, request: HttpRequest) -> bool:
    secure = source.lower().startswith("https:")
    if _host(source) == _host(f"{'https' if secure else 'http'}://{request.get_host()}"):
        return secure or not request.is_secure()  # whoever is on the line can make our page without TLS speak
    known = {_host(address) for address in (settings.FRONTEND_BASE_URL, load()["ServerAddress"]) if address}
    return _host(source) in known


def _host(address: str) -> tuple[str, int | None] | None:
    """Host and port; the scheme is left out, since a proxy in front may have taken TLS off."""
    try:
        parts = urlsplit(address)
        if parts.scheme not in PORTS or not parts.hostname:
            return None
        return parts.hostname, parts.port or PORTS[parts.scheme]
    except ValueError:
        return None
