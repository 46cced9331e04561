"""Who does which piece of periodic work, until when, and what came of it the last time."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _


class Lease(models.Model):
    """One row for each piece of work that only one process of the deployment may do at a time.

    Moments are Unix seconds by the clocks of the processes, 0 where there was none. `holder` is one acquisition, not
    one process: "" while nobody holds it. Written by `jobs.leases` alone.
    """

    name = models.CharField(max_length=64, primary_key=True)
    holder = models.CharField(max_length=32, default="", blank=True)
    expires_at = models.BigIntegerField(default=0)
    first_seen = models.BigIntegerField(default=0)  # a job that never ran is due one period after this
    last_run_started = models.BigIntegerField(default=0)
    last_run_finished = models.BigIntegerField(default=0)
    last_outcome = models.CharField(max_length=200, default="", blank=True)  # "" while it runs, then "ok" or why not
    detail = models.JSONField(default=dict, blank=True)  # what the work itself tells: progress, then its summary

    class Meta:
        db_table = "job_leases"
        verbose_name = _("lease of periodic work")
        verbose_name_plural = _("leases of periodic work")

    def __str__(self) -> str:
        return self.name
