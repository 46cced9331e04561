"""What is done to many channels at once: shown first, then done to exactly those that were shown."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, QueryDict
from django.http.response import HttpResponseBase
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_POST, require_safe

from accounts.http import actor_of
from accounts.models import Role
from channels_app import balances, bulk, listing, testing
from channels_app.bulk import Action, BulkRefused, Change
from channels_app.testing import Scope
from channels_app.validation import ChannelInvalid
from console.channels.forms import ACTIONS, BALANCE, TEST, BulkForm
from console.channels.rows import rows_of, shown_balance
from console.csv import csv_answer, newest_first, utc
from console.guards import page
from console.respond import back, go, respond

SHOWN = 200  # channels of a preview that are drawn; the others are counted
EXPORTED = (
    *("id", "name", "type", "status", "status_reason", "groups", "models", "tags", "priority", "weight"),
    *("base_url", "balance", "used_quota", "last_test", "milliseconds", "created", "notes"),
)


@page(Role.ADMIN)
@require_POST
def many(request: HttpRequest) -> HttpResponse:
    """A preview, and with `confirmed` the change. Tests and balances need none: they change no channel's settings."""
    form = BulkForm(request.POST)
    home = back(request, reverse("channels"))
    if not form.is_valid():
        messages.error(request, _("Choose what to do with the channels."))
        return go(request, home)
    asked = form.cleaned_data
    channel_ids = _chosen(request, asked)
    if not channel_ids:
        messages.warning(request, _("No channel is chosen. Tick the rows first."))
        return go(request, home)
    if asked["action"] == TEST:
        return _test(request, channel_ids, home)
    if asked["action"] == BALANCE:
        return _balances(request, channel_ids, home)
    value = f"{asked['tag']},{asked['value']}" if asked["tag"] else asked["value"]
    change = Change(Action(asked["action"]), value)
    try:
        if request.POST.get("confirmed"):
            return _apply(request, change, channel_ids, home)
        lines = bulk.preview(change, channel_ids)
    except ChannelInvalid as refusal:
        messages.error(request, str(refusal))
        return go(request, home)
    refused = [line for line in lines if line.refusal]
    changing = [line for line in lines if line.changes]
    context: dict[str, Any] = {
        "title": dict(ACTIONS)[change.action.value],
        "change": change,
        "lines": [*refused, *changing][:SHOWN],
        "more": max(len(refused) + len(changing) - SHOWN, 0),
        "refused": refused,
        "changing": changing,
        "same": len(lines) - len(refused) - len(changing),
        "ids": ",".join(str(line.channel_id) for line in changing),
        "return_to": home,
    }
    parts = {"dialog-body": "console/channels/_preview.html"}
    return respond(request, "console/channels/preview.html", context, parts=parts)


@page(Role.ADMIN)
@require_safe
def export(request: HttpRequest) -> HttpResponseBase:
    """The channels that match the list's filters, as CSV, without keys and configs."""
    channels = newest_first(listing.matching(listing.read(request.GET)))
    rows = (
        (
            row.channel.pk,
            row.channel.name,
            row.type_name,
            row.state,
            row.channel.status_reason,
            row.channel.group,
            row.channel.model_names,
            row.channel.tags,
            row.channel.priority,
            row.channel.weight,
            row.channel.base_url,
            shown_balance(row.channel),
            row.channel.used_quota,
            utc(row.channel.test_time),
            row.channel.test_milliseconds,
            utc(row.channel.created_time),
            row.channel.notes,
        )
        for channel in channels
        for row in rows_of([channel], {})
    )
    return csv_answer(request, "channels", EXPORTED, rows)


def _chosen(request: HttpRequest, asked: dict[str, Any]) -> list[int]:
    """The ids shown in a preview, else all that match the list's filters, else the rows ticked."""
    if asked["ids"]:
        return [int(part) for part in asked["ids"].split(",") if part.isdecimal() and len(part) < 19]
    if asked["all"]:
        filters = listing.read(QueryDict(asked["query"]))
        return list(listing.matching(filters).values_list("pk", flat=True))
    return [int(value) for value in request.POST.getlist("id") if value.isdecimal() and len(value) < 19]


def _apply(request: HttpRequest, change: Change, channel_ids: list[int], home: str) -> HttpResponse:
    """Raises ChannelInvalid."""
    try:
        changed = bulk.apply(actor_of(request), change, channel_ids)
    except BulkRefused as refusal:
        messages.error(request, _("Nothing was changed: %(why)s") % {"why": str(refusal)})
        return go(request, home)
    deleted = change.action is Action.DELETE
    text = (
        ngettext("%d channel was deleted.", "%d channels were deleted.", len(changed))
        if deleted
        else ngettext("%d channel was changed.", "%d channels were changed.", len(changed))
    )
    messages.success(request, text % len(changed))
    return go(request, home)


def _test(request: HttpRequest, channel_ids: list[int], home: str) -> HttpResponse:
    try:
        run_id = testing.start(Scope.SELECTED, actor_of(request), channel_ids)
    except testing.AlreadyRunning:
        messages.warning(request, _("Channels are being tested already; this is the run."))
        return go(request, reverse("test-runs-current"))
    return go(request, reverse("test-run", args=[run_id]))


def _balances(request: HttpRequest, channel_ids: list[int], home: str) -> HttpResponse:
    try:
        balances.start(set(channel_ids))
    except balances.AlreadyRunning:
        messages.warning(request, _("The balances are being updated already."))
    else:
        messages.success(request, _("The balances are being updated. New figures appear as the providers answer."))
    return go(request, home)
