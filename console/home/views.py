"""The pages everybody may see."""

from __future__ import annotations

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from console import operator_text
from console.guards import public
from console.site import base_address
from options import services as option_services


@public
@require_safe
def home(request: HttpRequest) -> HttpResponse:
    """The operator's own content: a link, or Markdown with HTML in it; else a welcome with how to begin."""
    options = option_services.load()
    content = options["HomePageContent"].strip()
    address = operator_text.link(content)
    context = {
        "home_link": address,
        "home_text": "" if address else operator_text.rendered(content) if content else "",
        "top_up_link": operator_text.link(options["TopUpLink"]),
        "base_address": base_address(request, options),
        "start_time": settings.START_TIME,
    }
    return render(request, "console/home/home.html", context)
