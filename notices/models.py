"""WHAT PEOPLE ARE TOLD: messages on their way, codes that prove an address, and who knows that their quota is low.

Times are unix seconds. No row holds a code, a link or the text of a message: those are made while it is delivered.
"""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _


class Kind(models.TextChoices):
    VERIFICATION = "verification", _("e-mail verification")
    RESET = "reset", _("password reset")
    QUOTA = "quota", _("quota reminder")
    CHANNEL_DISABLED = "channel_disabled", _("channel disabled")
    CHANNEL_ENABLED = "channel_enabled", _("channel enabled")
    TEST_FINISHED = "test_finished", _("channel test finished")


class OutboxStatus(models.TextChoices):
    WAITING = "waiting", _("waiting")
    DEAD = "dead", _("given up")


class OutboxMessage(models.Model):
    """One message that has to go out, written in the transaction of what causes it; gone once delivered."""

    kind = models.CharField(max_length=32, choices=Kind.choices)
    recipient = models.CharField(max_length=254, default="", blank=True)  # an e-mail address; "" is the operator
    facts = models.JSONField(default=dict)  # what the template needs, by name
    status = models.CharField(max_length=16, choices=OutboxStatus.choices, default=OutboxStatus.WAITING)
    attempts = models.IntegerField(default=0)
    created_at = models.BigIntegerField()
    due_at = models.BigIntegerField()
    expires_at = models.BigIntegerField(default=0)  # of no use to anybody after this; 0 is never
    last_error = models.CharField(max_length=255, default="", blank=True)

    class Meta:
        db_table = "outbox_messages"
        verbose_name = _("message on its way")
        verbose_name_plural = _("messages on their way")
        indexes = [models.Index(fields=["status", "due_at"], name="outbox_due")]

    def __str__(self) -> str:
        return f"{self.get_kind_display()} #{self.pk}"


class VerificationCode(models.Model):
    """A code that was sent to an address: its keyed digest, good once, for one purpose, a few tries and minutes."""

    purpose = models.CharField(max_length=16)
    subject = models.CharField(max_length=64)  # keyed digest of the folded address
    code = models.CharField(max_length=64)
    attempts = models.IntegerField(default=0)
    expires_at = models.BigIntegerField(db_index=True)

    class Meta:
        db_table = "verification_codes"
        verbose_name = _("verification code")
        verbose_name_plural = _("verification codes")
        constraints = [models.UniqueConstraint(fields=["purpose", "subject"], name="verification_code_subject")]

    def __str__(self) -> str:
        return f"{self.purpose} #{self.pk}"


class QuotaReminder(models.Model):
    """This user was told that the quota is low; the row goes when the balance is above the threshold again."""

    user_id = models.BigIntegerField(primary_key=True)
    told_at = models.BigIntegerField()

    class Meta:
        db_table = "quota_reminders"
        verbose_name = _("quota reminder")
        verbose_name_plural = _("quota reminders")

    def __str__(self) -> str:
        return str(self.user_id)
