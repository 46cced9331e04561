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
