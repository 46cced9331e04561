"""One address, two answers: the whole page, or the part of it that htmx asked for by the id of its target.

Without script the same forms and links answer with whole pages and redirects (console reference, 11.8).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.template.loader import render_to_string
from django.utils.cache import patch_vary_headers
from django.utils.http import url_has_allowed_host_and_scheme
from django_htmx.http import HttpResponseClientRedirect


def respond(
    request: HttpRequest,
    template: str,
    context: Mapping[str, Any],
    *,
    parts: Mapping[str, str] | None = None,
    status: int = 200,
) -> HttpResponse:
    """`parts` maps the id of an htmx target to the template of what goes inside; other requests get `template`."""
    target = request.htmx.target if request.htmx else None  # type: ignore[attr-defined]
    part = (parts or {}).get(target or "")
    if part is None:
        answer = render(request, template, dict(context), status=status)
    else:
        answer = HttpResponse(render_to_string(part, dict(context), request=request) + _toasts(request), status=status)
    patch_vary_headers(answer, ["HX-Request", "HX-Target"])
    return answer


def fragment(request: HttpRequest, template: str, context: Mapping[str, Any], *, status: int = 200) -> HttpResponse:
    """What a script alone asks for (a changed row, a polled panel), with the messages of this request."""
    answer = HttpResponse(render_to_string(template, dict(context), request=request) + _toasts(request), status=status)
    patch_vary_headers(answer, ["HX-Request", "HX-Target"])
    return answer


def go(request: HttpRequest, address: str) -> HttpResponse:
    """After a form was taken: to this page of ours, whether a script sent it or not."""
    if request.htmx:  # type: ignore[attr-defined]
        return HttpResponseClientRedirect(address)
    return HttpResponseRedirect(address)


def back(request: HttpRequest, default: str) -> str:
    """The page of ours that a form says it came from (`next`), else `default`: a list keeps its filters."""
    wanted = request.POST.get("next") or request.GET.get("next") or ""
    safe = wanted.startswith("/") and url_has_allowed_host_and_scheme(wanted, allowed_hosts=None)
    return wanted if safe else default


def _toasts(request: HttpRequest) -> str:
    waiting = messages.get_messages(request)
    if not waiting:
        return ""
    return str(render_to_string("console/parts/toasts_swapped.html", {"messages": waiting}, request=request))
