"""Who calls /api: a sign-in by cookie, else a management access token (management contract, 1.6)."""

from __future__ import annotations

from typing import Literal
from urllib.parse import urlsplit

from django.conf import settings
from django.http import HttpRequest
from rest_framework.authentication import BaseAuthentication
from rest_framework.request import Request

from accounts import services
from accounts.factors.policy import owes_factor
from accounts.http import session_user, sign_out
from accounts.models import User, UserStatus
from api import messages
from api.envelope import Refusal
from options.services import load

PORTS = {"http": 80, "https": 443}


class Identify(BaseAuthentication):
    """The user is read anew for every request, and must be enabled (remedies S4, S6)."""

    def authenticate(self, request: Request) -> tuple[User, Literal["session", "token"]] | None:
        user = session_user(request._request)
        if user is not None:
            refuse_foreign_origin(request._request)
            if user.status != UserStatus.ENABLED:
                sign_out(request._request)
                raise Refusal(messages.BANNED)
            if owes_factor(user):
                raise Refusal(messages.FACTOR_FIRST, status=401)
            return user, "session"
        header = request.headers.get("Authorization", "").strip()
        if not header:
            return None
        user = services.find_by_access_token(header.replace("Bearer ", "", 1))
        if user is None:
            raise Refusal(messages.BAD_ACCESS_TOKEN)
        if user.status != UserStatus.ENABLED:
            raise Refusal(messages.BANNED)
        return user, "token"


def refuse_foreign_origin(request: HttpRequest) -> None:
    """A browser says which site a call comes from; only ours may use the cookie (remedy S7). None is a script."""
    site = request.headers.get("Sec-Fetch-Site", "")
    if site in ("same-origin", "none"):  # browsers alone can write it; right also where a proxy rewrites Host
        return
    source = request.headers.get("Origin") or request.headers.get("Referer")
    if not source and site:  # a browser, told to keep quiet about the page it comes from
        raise Refusal(messages.FOREIGN_ORIGIN)
    if source and _host(source) != _host(f"{_scheme(source)}://{request.get_host()}"):
        known = {_host(address) for address in (settings.FRONTEND_BASE_URL, load()["ServerAddress"]) if address}
        if _host(source) not in known:
            raise Refusal(messages.FOREIGN_ORIGIN)


def _scheme(address: str) -> str:
    return "https" if address.lower().startswith("https:") else "http"


def _host(address: str) -> tuple[str, int | None] | None:
    """Host and port; the scheme is left out, since a proxy in front may have taken TLS off."""
    try:
        parts = urlsplit(address)
        if parts.scheme not in PORTS or not parts.hostname:
            return None
        return parts.hostname, parts.port or PORTS[parts.scheme]
    except ValueError:
        return None
