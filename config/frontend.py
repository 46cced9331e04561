"""Slaves without pages of their own: FRONTEND_BASE_URL takes every address that is not an API's (contract, 5)."""

from __future__ import annotations

from django.conf import settings


def elsewhere(path: str, query: str) -> str | None:
    """The address of the frontend for this one, as it came (still percent-encoded); None where this node answers."""
    if settings.IS_MASTER or not settings.FRONTEND_BASE_URL:
        return None
    return f"{settings.FRONTEND_BASE_URL}/{path.removeprefix('/')}{'?' if query else ''}{query}"
