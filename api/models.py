"""Counters of the limits that all workers share where there is no Redis."""

from __future__ import annotations

from django.db import models


class RateWindow(models.Model):
    """How often one subject did one limited thing since `started`. Rows older than their window mean nothing."""

    key = models.CharField(max_length=80, primary_key=True)  # mark and digest of the subject
    started = models.BigIntegerField(db_index=True)  # unix seconds
    count = models.IntegerField(default=0)

    class Meta:
        db_table = "rate_windows"

    def __str__(self) -> str:
        return f"{self.key} {self.count}"
