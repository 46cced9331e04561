"""How often a form may be tried: the API's counters, so that two doors are not twice as many tries."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from api import throttling
from api.windows import TooMany

View = Callable[..., HttpResponse]


def counted(view: View) -> View:
    """Each POST counts against the address (`throttling.CRITICAL`). Whatever limit refuses: a page with status 429."""

    @wraps(view)
    def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        try:
            if request.method == "POST":
                throttling.spend_critical(request)
            return view(request, *args, **kwargs)
        except TooMany:
            return render(request, "429.html", status=429)

    return guarded
