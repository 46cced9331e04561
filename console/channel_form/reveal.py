"""Showing a channel's key: to root alone, who has lately shown who it is, and on record."""

from __future__ import annotations

from typing import Any

from django.http import Http404, HttpRequest, HttpResponse
from django.urls import reverse
from django.views.decorators.http import require_http_methods

from accounts.confirming import confirmed_recently
from accounts.http import actor_of
from accounts.models import Role
from channels_app import services
from channels_app.models import Channel
from channels_app.services import ChannelInvalid
from console.guards import page
from console.respond import back, respond


@page(Role.ROOT)
@require_http_methods(["GET", "HEAD", "POST"])
@confirmed_recently
def reveal(request: HttpRequest, pk: int) -> HttpResponse:
    """GET asks; the key stands in the answer to the POST and nowhere else."""
    name = Channel.objects.filter(pk=pk).values_list("name", flat=True).first()
    if name is None:
        raise Http404
    context: dict[str, Any] = {"pk": pk, "name": name, "return_to": back(request, reverse("channel-edit", args=[pk]))}
    status = 200
    if request.method == "POST":
        try:
            context["key"] = services.reveal_key(actor_of(request), pk)
            context["shown"] = True
        except ChannelInvalid as refusal:
            status, context["error"] = 422, str(refusal)
    parts = {"dialog-body": "console/channel_form/_reveal.html"}
    return respond(request, "console/channel_form/reveal.html", context, parts=parts, status=status)
