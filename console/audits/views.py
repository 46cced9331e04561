"""The audit to read, to search and to download. Nothing here changes it."""

from __future__ import annotations

import json
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_safe

from accounts.http import actor_of
from accounts.models import Role
from audit.models import AuditEntry
from audit.services import record
from console.audits.detail import lines_of
from console.audits.finding import AuditFilter, visible_to, wanted
from console.csv import csv_answer, newest_first, utc
from console.guards import page
from console.http import signed_in
from console.lists import Column, Listing
from console.respond import back, respond

COLUMNS = (
    Column("time", gettext_lazy("Time"), ("pk",), fixed=True),
    Column("actor", gettext_lazy("Who"), ("actor_name",)),
    Column("action", gettext_lazy("Action"), ("action",)),
    Column("target", gettext_lazy("On what"), ("target",)),
    Column("summary", gettext_lazy("Detail")),
    Column("ip", gettext_lazy("From where"), ("ip",)),
    Column("request", gettext_lazy("Request"), hidden=True),
)
SUMMARY = 60  # characters


@page(Role.ADMIN)
@require_safe
def entries(request: HttpRequest) -> HttpResponse:
    filters = AuditFilter(request.GET)
    rows = wanted(signed_in(request), filters)
    listing = Listing(request, "audit", COLUMNS, rows, order="-time", filters=filters)
    for entry in listing.rows:
        entry.summary = _summary(entry)
    context = {"list": listing, "everybody": signed_in(request).role >= Role.ROOT}
    return respond(request, "console/audits/list.html", context, parts={"list": "console/audits/_table.html"})


@page(Role.ADMIN)
@require_safe
def entry(request: HttpRequest, pk: int) -> HttpResponse:
    """One entry with all it tells; somebody else's is not found for who may not see it."""
    row = get_object_or_404(visible_to(signed_in(request)), pk=pk)
    context = {
        "entry": row,
        "title": f"{row.action} {row.target}",
        "lines": lines_of(row.detail),
        "return_to": back(request, reverse("audit")),
    }
    return respond(request, "console/audits/entry.html", context, parts={"drawer-body": "console/audits/_entry.html"})


@page(Role.ADMIN)
@require_safe
def export(request: HttpRequest) -> Any:
    """What the filters find, as CSV."""
    rows = newest_first(wanted(signed_in(request), AuditFilter(request.GET)))
    record(actor_of(request), "audit.export", "audit", query=request.GET.urlencode()[:255])
    columns = ["id", "time", "actor_id", "actor", "action", "target", "detail", "ip", "request_id"]
    table = (
        [
            row.pk, utc(row.created_at), row.actor_id, row.actor_name, row.action, row.target,
            json.dumps(row.detail, ensure_ascii=False), row.ip, row.request_id,
        ]
        for row in rows
    )  # fmt: skip
    return csv_answer(request, "audit", columns, table)


def _summary(row: AuditEntry) -> str:
    parts = [
        f"{line.name}: {line.before} → {line.after}" if line.before else f"{line.name}: {line.after}"
        for line in lines_of(row.detail)
    ]
    text = ", ".join(parts)
    return text if len(text) <= SUMMARY else f"{text[: SUMMARY - 1]}…"
