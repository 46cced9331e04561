"""The typed request behind `login_required`, and who acts by it."""

from __future__ import annotations

from django.http import HttpRequest

from accounts.models import User
from audit.services import Actor


class SignedInRequest(HttpRequest):
    """What a view behind `login_required` receives."""

    user: User


def address_of(request: HttpRequest) -> str:
    """The caller's address: as the client-address middleware worked it out, else the peer's."""
    return str(getattr(request, "client_ip", "") or request.META.get("REMOTE_ADDR", ""))


def signed_in(request: HttpRequest) -> User:
    """The account behind a request that a view has let through only signed in."""
    assert isinstance(request.user, User)
    return request.user


def actor_of(request: HttpRequest) -> Actor:
    """The signed-in person as the audit records them. Only behind a view that requires sign-in."""
    user = signed_in(request)
    return Actor(user.pk, user.username, address_of(request), str(getattr(request, "request_id", "")))
