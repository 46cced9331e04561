"""The audit as a table to read."""

from __future__ import annotations

from django.contrib import admin
from django.utils.translation import gettext_lazy as _

from audit.models import AuditEntry
from console.raw_tables import ReadOnly, moment_column


@admin.register(AuditEntry)
class AuditEntryAdmin(ReadOnly):
    list_display = ("id", "when", "actor_name", "action", "target", "ip", "request_id")
    search_fields = ("action__startswith", "target__exact", "actor_name__exact", "request_id__exact")
    search_help_text = _("Beginning of the action, or exact target, actor or request id.")
    fields = ("when", "actor_id", "actor_name", "action", "target", "detail", "ip", "request_id")
    readonly_fields = ("when",)
    when = moment_column("created_at", _("time (UTC)"))
