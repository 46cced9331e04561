"""The log: its list, new lines, its sums, one line, and the whole as a file."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.http import Http404, HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

from accounts.http import actor_of
from accounts.models import Role
from audit.services import record
from billing import log_queries
from billing.models import Log
from console.csv import csv_answer, utc
from console.guards import page
from console.http import signed_in
from console.logs.detail import bill_of
from console.logs.forms import LogFilter
from console.logs.listing import LogListing, decorate, newer_lines
from console.respond import back, fragment, respond
from options import services as option_services

OWN_COLUMNS = [
    "time", "type", "api_key", "model", "status", "error", "prompt_tokens", "completion_tokens", "cached_tokens",
    "quota", "milliseconds", "first_token_milliseconds", "stream", "address", "request_id", "detail",
]  # fmt: skip
OPERATORS_COLUMNS = ["id", "user_id", "username", "channel_id", "group", "upstream_model", "user_agent"]


@page()
@require_safe
def lines(request: HttpRequest) -> HttpResponse:
    """The list; asked by `#tail` with `tail`, the lines that came since."""
    listing = _listing(request)
    if request.htmx and request.htmx.target == "tail":  # type: ignore[attr-defined]
        return _tail(request, listing)
    names = listing.filters.names() if isinstance(listing.filters, LogFilter) and not request.htmx else {}  # type: ignore[attr-defined]
    context = {"list": listing, "names": names}
    return respond(request, "console/logs/list.html", context, parts={"list": "console/logs/_table.html"})


@page()
@require_safe
def summary(request: HttpRequest) -> HttpResponse:
    """What the filters come to (D15)."""
    listing = _listing(request)
    sums = log_queries.summary(listing.query)
    context = {"list": listing, "sums": sums, "error_percent": sums.error_share * 100}
    return respond(request, "console/logs/summary.html", context, parts={"sums": "console/logs/_summary.html"})


@page()
@require_safe
def line(request: HttpRequest, pk: int) -> HttpResponse:
    """One line. Somebody else's is not found for an ordinary user."""
    person = signed_in(request)
    all_people = person.role >= Role.ADMIN
    rows = Log.objects.filter(pk=pk) if all_people else Log.objects.filter(pk=pk, user_id=person.pk)
    found = rows.first()
    if found is None:
        raise Http404
    decorate([found], all_people)
    others: list[Log] = []
    if found.request_id:
        same = log_queries.attempts_of(found.request_id, 0 if all_people else person.pk)
        others = decorate([other for other in same if other.pk != pk], all_people)
    context = {
        "line": found,
        "bill": bill_of(found),
        "others": others,
        "all_people": all_people,
        "title": _("Log line: %s") % found.get_type_display(),
        "return_to": back(request, reverse("logs")),
    }
    return respond(request, "console/logs/line.html", context, parts={"drawer-body": "console/logs/_line.html"})


@page()
@require_safe
def export(request: HttpRequest) -> Any:
    """What the filters find, as CSV, however much it is."""
    listing = _listing(request)
    if listing.all_people:
        record(actor_of(request), "log.export", "logs", query=request.GET.urlencode()[:255])
    columns = [*OPERATORS_COLUMNS, *OWN_COLUMNS] if listing.all_people else OWN_COLUMNS
    return csv_answer(request, "logs", columns, _table(listing))


def _table(listing: LogListing) -> Iterator[list[object]]:
    for row in log_queries.export(listing.query):
        own: list[object] = [
            utc(row.created_at), str(row.get_type_display()), row.token_name, row.model_name, row.status or "",
            row.error_code, row.prompt_tokens, row.completion_tokens, row.cached_tokens, row.quota, row.elapsed_time,
            row.first_token_time, int(row.is_stream), row.ip, row.request_id, row.content,
        ]  # fmt: skip
        if listing.all_people:
            operators = [
                row.pk, row.user_id, row.username, row.channel_id, row.group, row.upstream_model, row.user_agent,
            ]  # fmt: skip
            own = [*operators, *own]
        yield own


def _tail(request: HttpRequest, listing: LogListing) -> HttpResponse:
    after = request.GET.get("tail", "")
    since = int(after) if after.isdecimal() and len(after) < 19 else 0
    new = newer_lines(listing, since)
    context = {"list": listing, "new": new, "since": new[0].pk if new else since}
    return fragment(request, "console/logs/_tail.html", context)


def _listing(request: HttpRequest) -> LogListing:
    filters = LogFilter(request.GET, person=signed_in(request), options=option_services.load())
    return LogListing(request, filters)
