"""Run-time options, and the version numbers by which every worker notices a change of configuration."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _


class Option(models.Model):
    """One option that was ever set; absent means the default of `options.registry`. Secrets are stored encrypted."""

    key = models.CharField(max_length=64, primary_key=True)
    value = models.TextField()

    class Meta:
        db_table = "options"
        verbose_name = _("option")
        verbose_name_plural = _("options")

    def __str__(self) -> str:
        return self.key


class OptionChange(models.Model):
    """What one save made of one option, complete enough to undo it. Append-only; written by `options.services` alone.

    `before` and `after`: the texts; None is no value of its own, so the default. Of a table (kind json) only the
    entries that differ, as JSON objects name → number, null for an entry that is not there. Of a secret nothing ("").
    """

    save_id = models.CharField(max_length=16, db_index=True)  # the same for all options of one save
    key = models.CharField(max_length=64)
    created_at = models.BigIntegerField()  # Unix seconds
    actor_id = models.BigIntegerField(default=0)
    actor_name = models.CharField(max_length=64, default="", blank=True)
    note = models.CharField(max_length=255, default="", blank=True)
    before = models.TextField(null=True, blank=True)
    after = models.TextField(null=True, blank=True)

    class Meta:
        db_table = "option_changes"
        verbose_name = _("change of an option")
        verbose_name_plural = _("changes of options")
        indexes = [models.Index(fields=["key", "id"], name="option_change_key")]

    def __str__(self) -> str:
        return f"{self.key} by {self.actor_name}"


class Version(models.Model):
    """A counter per kind of configuration, raised in the transaction that changes it (architecture: snapshots)."""

    name = models.CharField(max_length=32, primary_key=True)
    number = models.BigIntegerField(default=0)

    class Meta:
        db_table = "config_versions"
        verbose_name = _("configuration version")
        verbose_name_plural = _("configuration versions")

    def __str__(self) -> str:
        return f"{self.name} {self.number}"
