"""Pages with the operator's own content: home, about, chat."""

from __future__ import annotations

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from console import operator_text
from console.guards import page, public
from console.home.content import OPTIONS, PAGE_POLICY, SANDBOX, Content, content_of, framed, is_page
from console.site import base_address
from options import services as option_services


@public
@require_safe
def home(request: HttpRequest) -> HttpResponse:
    """The operator's own content; else a welcome with how to begin and what is switched on."""
    options = option_services.load()
    context = {
        "content": content_of(request, options, "home"),
        "name": "home",
        "sandbox": SANDBOX,
        "top_up_link": operator_text.link(options["TopUpLink"]),
        "base_address": base_address(request, options),
        "start_time": settings.START_TIME,
    }
    return render(request, "console/home/home.html", context)


@public
@require_safe
def about(request: HttpRequest) -> HttpResponse:
    options = option_services.load()
    context = {"content": content_of(request, options, "about"), "name": "about", "sandbox": SANDBOX}
    return render(request, "console/home/about.html", context)


@public
@require_safe
def content(request: HttpRequest, name: str) -> HttpResponse:
    """A whole HTML page of the operator's, to be framed by ours: in an origin of its own, by its own policy."""
    if name not in OPTIONS:
        raise Http404
    text = option_services.load()[OPTIONS[name]]
    if not is_page(text):
        raise Http404
    answer = HttpResponse(text)
    answer["Content-Security-Policy"] = PAGE_POLICY
    answer["X-Frame-Options"] = "SAMEORIGIN"
    answer["Referrer-Policy"] = "no-referrer"
    return answer


@page()
@require_safe
def chat(request: HttpRequest) -> HttpResponse:
    """The operator's chat client in a frame. 404 while none is set."""
    options = option_services.load()
    address = operator_text.link(options["ChatLink"])
    if not address:
        raise Http404
    shown: Content = framed(request, options, address)
    return render(request, "console/home/chat.html", {"content": shown})
