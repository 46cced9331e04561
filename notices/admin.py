"""Messages that wait or were given up, as a table for root. Codes are digests and not shown at all."""

from __future__ import annotations

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from accounts.http import actor_of
from audit.services import record
from console.raw_tables import ReadOnly, moment_column
from notices import queue
from notices.models import OutboxMessage


@admin.register(OutboxMessage)
class OutboxMessageAdmin(ReadOnly):
    list_display = ("id", "kind", "recipient", "status", "attempts", "created", "due", "last_error")
    list_filter = ("status", "kind")
    search_fields = ("recipient__exact",)
    actions = ("send_again",)
    readonly_fields = ("created", "due")
    created = moment_column("created_at", _("created (UTC)"))
    due = moment_column("due_at", _("next try (UTC)"))

    @admin.action(description=_("Send the selected dead letters again"))
    def send_again(self, request: HttpRequest, chosen: QuerySet[OutboxMessage]) -> None:
        message_ids = list(chosen.values_list("pk", flat=True))
        revived = queue.revive(message_ids)
        record(actor_of(request), "outbox.send_again", "outbox", ids=message_ids)
        text = ngettext("%d message will be sent again.", "%d messages will be sent again.", revived) % revived
        self.message_user(request, text, messages.SUCCESS)
