"""Logs, ledger and holds as tables to read. Nothing here is ever changed by hand: the ledger is the truth."""

from __future__ import annotations

import time
from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from billing.models import Hold, LedgerEntry, Log, LogOutbox, ReconciliationReport
from console.raw_tables import ReadOnly, moment_column

HOUR = 3600  # seconds


class Since(admin.SimpleListFilter):
    """Rows of the last hour, day, week or month; times are unix seconds, for which Django has no filter."""

    title = _("time")
    parameter_name = "since"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [
            (str(HOUR), _("Last hour")),
            (str(24 * HOUR), _("Last 24 hours")),
            (str(7 * 24 * HOUR), _("Last 7 days")),
            (str(30 * 24 * HOUR), _("Last 30 days")),
        ]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        wanted = self.value()
        if wanted not in dict(self.lookup_choices):
            return queryset
        return queryset.filter(created_at__gte=int(time.time()) - int(wanted))


@admin.register(Log)
class LogAdmin(ReadOnly):
    list_display = (
        "id",
        "when",
        "type",
        "username",
        "token_name",
        "model_name",
        "prompt_tokens",
        "completion_tokens",
        "quota",
        "uncollected",
        "channel_id",
        "elapsed_time",
        "is_stream",
        "estimated",
        "status",
        "error_code",
    )
    list_filter = (Since, "type", "is_stream", "estimated")
    search_fields = (
        "username__exact",
        "token_name__exact",
        "model_name__exact",
        "request_id__exact",
    )
    search_help_text = _("Exact user name, key name, model or request id.")
    readonly_fields = ("when",)
    when = moment_column("created_at", _("time (UTC)"))


@admin.register(LedgerEntry)
class LedgerEntryAdmin(ReadOnly):
    list_display = (
        "id",
        "when",
        "user_id",
        "kind",
        "amount",
        "reference",
        "token_id",
        "channel_id",
        "actor_id",
        "note",
    )
    list_filter = (Since, "kind")
    search_fields = ("user_id__exact", "reference__exact")
    search_help_text = _("Exact user id or reference.")
    readonly_fields = ("when",)
    when = moment_column("created_at", _("time (UTC)"))


@admin.register(Hold)
class HoldAdmin(ReadOnly):
    list_display = (
        "request_id",
        "user_id",
        "username",
        "amount",
        "token_amount",
        "model_name",
        "worker",
        "opened",
        "ends",
    )
    search_fields = ("request_id__exact", "username__exact")
    ordering = ("-created_at",)
    readonly_fields = ("opened", "ends")
    opened = moment_column("created_at", _("opened (UTC)"))
    ends = moment_column("expires_at", _("expires (UTC)"))


@admin.register(LogOutbox)
class LogOutboxAdmin(ReadOnly):
    list_display = ("id", "when")
    readonly_fields = ("when",)
    when = moment_column("created_at", _("time (UTC)"))


@admin.register(ReconciliationReport)
class ReconciliationReportAdmin(ReadOnly):
    list_display = ("id", "when", "difference_count", "compared", "duration")
    list_filter = (Since,)
    readonly_fields = ("when", "compared_from", "compared_until")
    when = moment_column("created_at", _("time (UTC)"))
    compared_from = moment_column("logs_from", _("log lines from (UTC)"))
    compared_until = moment_column("logs_until", _("log lines until (UTC)"))
