"""Who changed what, when and from where. Append-only; nothing in the product edits or deletes a row."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _


class AuditEntry(models.Model):
    created_at = models.BigIntegerField(db_index=True)  # unix seconds
    actor_id = models.BigIntegerField(default=0, db_index=True)  # 0: the system itself
    actor_name = models.CharField(max_length=64, default="", blank=True)
    action = models.CharField(max_length=64, db_index=True)  # "channel.update"
    target = models.CharField(max_length=128, default="", blank=True)  # "channel:7"
    detail = models.JSONField(default=dict, blank=True)  # never a secret
    ip = models.CharField(max_length=45, default="", blank=True)
    request_id = models.CharField(max_length=40, default="", blank=True)

    class Meta:
        db_table = "audit_entries"
        verbose_name = _("audit entry")
        verbose_name_plural = _("audit entries")
        ordering = ["-id"]

    def __str__(self) -> str:
        return f"{self.action} {self.target}"
