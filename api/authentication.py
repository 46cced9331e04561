"""Who calls /api: a sign-in by cookie, else a management access token (management contract, 1.6)."""

from __future__ import annotations

from typing import Literal

from django.http import HttpRequest
from rest_framework.authentication import BaseAuthentication
from rest_framework.request import Request

from accounts import services
from accounts.factors.policy import owes_factor
from accounts.http import session_user, sign_out
from accounts.models import User, UserStatus
from accounts.origin import is_foreign
from api import messages
from api.envelope import Refusal


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
    """Only pages of ours may use the cookie."""
    if is_foreign(request):
        raise Refusal(messages.FOREIGN_ORIGIN)
