"""The account behind a request, typed."""

from __future__ import annotations

from django.http import HttpRequest

from accounts.models import User


def signed_in(request: HttpRequest) -> User:
    """Who asks, behind a view that lets only signed-in people through."""
    assert isinstance(request.user, User)
    return request.user
