"""Both spellings of every address, served directly: a redirect would lose the body of a PUT (contract 1.3)."""

from __future__ import annotations

from django.urls import URLPattern, path
from rest_framework.views import APIView


def both(route: str, view: type[APIView]) -> list[URLPattern]:
    """`route` without slash at its end, below /api/."""
    served = view.as_view()
    return [path(route, served), path(f"{route}/", served)]
