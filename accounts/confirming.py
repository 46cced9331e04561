"""Asking once more who somebody is, before what an unattended screen must not give away (console reference, D19).

A proof counts for ten minutes in this session; signing in is one. Pages that ask for it wear `confirmed_recently`.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import wraps
from typing import Any
from urllib.parse import urlencode, urlsplit

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme

CONFIRMED = "confirmed_at"  # session key
LASTS = 600  # seconds

View = Callable[..., HttpResponse]


def confirm(request: HttpRequest) -> None:
    """The person has just shown who they are."""
    request.session[CONFIRMED] = int(time.time())


def is_confirmed(request: HttpRequest) -> bool:
    confirmed = request.session.get(CONFIRMED, 0)
    return bool(0 <= time.time() - confirmed < LASTS)


def confirmed_recently(view: View) -> View:
    """Sends whoever has not shown for ten minutes who they are to the page that asks, and from there back.

    A form that was sent is not sent again by itself: one comes back to the page it stood on.

    Stands below login_required.
    """

    @wraps(view)
    def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        if is_confirmed(request):
            return view(request, *args, **kwargs)
        address = f"{reverse('confirm')}?{urlencode({'next': _page(request)})}"
        if request.headers.get("HX-Request") == "true":  # htmx follows redirects into the partial's place
            return HttpResponse(headers={"HX-Redirect": address})
        return redirect(address)

    return guarded


def _page(request: HttpRequest) -> str:
    """Where the person is: this very page, or, for a form and a partial, the page it was on."""
    if request.method in ("GET", "HEAD") and request.headers.get("HX-Request") != "true":
        return request.get_full_path()
    parts = urlsplit(request.headers.get("HX-Current-URL") or request.headers.get("Referer") or "")
    if parts.netloc != request.get_host():
        return reverse("home")
    return safe_path(parts._replace(scheme="", netloc="").geturl()) or reverse("home")


def safe_path(wanted: str) -> str:
    """`wanted` if it is a path of this site, else ""."""
    safe = url_has_allowed_host_and_scheme(wanted, allowed_hosts=None)
    return wanted if wanted.startswith("/") and safe else ""
