"""Calls that came with an Idempotency-Key: one row a key, with the answer once there is one."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _


class State(models.IntegerChoices):
    """`billing.batch.keyed` writes the last two, in the transaction that bills the call."""

    RUNNING = 0, _("running")
    KEPT = 1, _("answer kept")
    TOO_LARGE = 2, _("answer too large to be kept")


class KeyedCall(models.Model):
    """The row is the claim: who inserted it, or took it over from a dead call, makes the call; all others wait for it.

    Neither the key nor the request stands here, but keyed digests of them; the answer is compressed and encrypted.
    """

    digest = models.CharField(max_length=64, primary_key=True)  # of the token and its key together
    user_id = models.BigIntegerField(db_index=True)
    fingerprint = models.CharField(max_length=64)  # of path, query and body
    request_id = models.CharField(max_length=64)  # of the call that has the key; its hold says whether it lives
    state = models.SmallIntegerField(choices=State.choices, default=State.RUNNING)
    claimed_at = models.BigIntegerField()  # Unix seconds
    expires_at = models.BigIntegerField(db_index=True)  # Unix seconds
    answer = models.BinaryField(null=True)

    class Meta:
        db_table = "keyed_calls"
        verbose_name = _("keyed call")
        verbose_name_plural = _("keyed calls")

    def __str__(self) -> str:
        return f"call {self.request_id} of user #{self.user_id}"
