"""Codes that credit a user once. The code itself is kept as a digest to find it and encrypted to list it."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from vault.fields import EncryptedTextField


class RedemptionStatus(models.IntegerChoices):
    ENABLED = 1, _("unused")
    DISABLED = 2, _("disabled")
    USED = 3, _("used")


class Redemption(models.Model):
    user_id = models.BigIntegerField(default=0)  # who made it
    key_digest = models.CharField(max_length=64, unique=True, editable=False)
    key = EncryptedTextField(db_column="key_encrypted")  # 32 hex digits
    status = models.IntegerField(choices=RedemptionStatus.choices, default=RedemptionStatus.ENABLED)
    name = models.CharField(max_length=64, db_index=True)
    quota = models.BigIntegerField()
    created_time = models.BigIntegerField()
    redeemed_time = models.BigIntegerField(default=0)
    used_by = models.BigIntegerField(default=0, db_index=True)
    expires_at = models.BigIntegerField(default=0, db_default=0)  # unix seconds; 0 is never
    batch = models.CharField(max_length=64, default="", db_default="", blank=True, db_index=True)
    per_user = models.IntegerField(default=0, db_default=0)  # codes of its batch that one user may redeem; 0 is all

    class Meta:
        db_table = "redemptions"
        verbose_name = _("redemption code")
        verbose_name_plural = _("redemption codes")

    def __str__(self) -> str:
        return self.name
