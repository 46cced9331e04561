"""Who is behind a request that `AtLevel` let through."""

from __future__ import annotations

from rest_framework.request import Request

from accounts.http import actor_of
from accounts.models import User
from audit.services import Actor


def caller(request: Request) -> User:
    assert isinstance(request.user, User)
    return request.user


def actor(request: Request) -> Actor:
    """The caller as the audit records them."""
    return actor_of(request._request, caller(request))
