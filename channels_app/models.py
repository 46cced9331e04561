"""WHERE: the upstream accounts calls are sent to, and what each of them serves."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from vault.fields import EncryptedTextField


class ChannelStatus(models.IntegerChoices):
    UNKNOWN = 0, _("unknown")
    ENABLED = 1, _("enabled")
    DISABLED = 2, _("disabled by hand")
    AUTO_DISABLED = 3, _("disabled automatically")


class Channel(models.Model):
    """One provider account. `type` is a row of `channels_app.providers`; `key` and `config` are encrypted at rest.

    Saved through `channels_app.services`, which rebuilds the abilities and raises the routing version.
    """

    type = models.IntegerField(default=1)
    key = EncryptedTextField(default="", blank=True)
    status = models.IntegerField(choices=ChannelStatus.choices, default=ChannelStatus.ENABLED)
    name = models.CharField(max_length=128, default="", blank=True, db_index=True)
    weight = models.BigIntegerField(default=0)
    created_time = models.BigIntegerField(default=0)
    test_time = models.BigIntegerField(default=0)
    response_time = models.BigIntegerField(default=0)  # milliseconds of the last test
    base_url = models.CharField(max_length=500, default="", blank=True)
    other = models.TextField(default="", blank=True)
    balance = models.FloatField(default=0)
    balance_updated_time = models.BigIntegerField(default=0)
    model_names = models.TextField(db_column="models", default="", blank=True)  # comma separated
    group = models.TextField(default="default")  # comma separated
    used_quota = models.BigIntegerField(default=0)
    model_mapping = models.TextField(default="", blank=True)  # JSON object {requested: upstream}
    priority = models.BigIntegerField(default=0)
    config = EncryptedTextField(default="", blank=True)  # JSON object text; holds ak, sk, service accounts
    system_prompt = models.TextField(default="", blank=True)
    status_reason = models.TextField(default="", blank=True)  # why it was disabled
    status_time = models.BigIntegerField(default=0)
    refuses_stream_options = models.BooleanField(default=False)  # learnt from a 400 that named the member

    class Meta:
        db_table = "channels"
        verbose_name = _("channel")
        verbose_name_plural = _("channels")

    def __str__(self) -> str:
        return f"{self.name} (#{self.pk})"


class Ability(models.Model):
    """Derived: this channel serves this model to this group. Rebuilt with every save of the channel."""

    group = models.CharField(max_length=64)
    model = models.CharField(max_length=191)
    channel = models.ForeignKey(Channel, on_delete=models.CASCADE, related_name="abilities", db_constraint=False)
    enabled = models.BooleanField(default=True)
    priority = models.BigIntegerField(default=0)

    class Meta:
        db_table = "abilities"
        verbose_name = _("ability")
        verbose_name_plural = _("abilities")
        constraints = [models.UniqueConstraint(fields=["group", "model", "channel"], name="ability_unique")]

    def __str__(self) -> str:
        return f"{self.group}/{self.model}"


class BreakerState(models.IntegerChoices):
    CLOSED = 0, _("closed")
    OPEN = 1, _("open")
    HALF_OPEN = 2, _("half open")


class ChannelHealth(models.Model):
    """What live traffic told about one channel: its circuit breaker's last change, and the latest outcomes.

    A table of its own, since it is written while calls are settled on the channel's row. Written by
    `channels_app.health` alone. Each worker has a breaker of its own; the row shows the last change of any of them.
    """

    channel = models.OneToOneField(
        Channel, on_delete=models.CASCADE, related_name="health", primary_key=True, db_constraint=False
    )
    breaker_state = models.IntegerField(choices=BreakerState.choices, default=BreakerState.CLOSED)
    opened_until = models.BigIntegerField(default=0)  # Unix seconds; 0 while closed
    failures = models.IntegerField(default=0)  # in a row, when it opened
    openings = models.IntegerField(default=0)  # in a row, without a success between them
    last_failure = models.TextField(default="", blank=True)  # what the upstream said, redacted
    changed_at = models.BigIntegerField(default=0)  # Unix seconds of the breaker's last change
    outcomes = models.TextField(default="", blank=True)  # of the latest calls, oldest first: "1" well, "0" failed
    outcomes_version = models.BigIntegerField(default=0)  # raised with every change of outcomes

    class Meta:
        db_table = "channel_healths"
        verbose_name = _("health of a channel")
        verbose_name_plural = _("health of channels")

    def __str__(self) -> str:
        return f"health of channel #{self.pk}"


class StoredResponse(models.Model):
    """Which channel's upstream keeps a response (OpenAI's Responses API), so that what follows finds its way there.

    The id itself is not kept: who reads the table cannot fetch anybody's conversation with it.
    """

    digest = models.CharField(max_length=64, primary_key=True)  # keyed, of the user and the response's id together
    user_id = models.BigIntegerField()
    channel_id = models.BigIntegerField()
    created_at = models.BigIntegerField(db_index=True)  # Unix seconds

    class Meta:
        db_table = "stored_responses"
        verbose_name = _("stored response")
        verbose_name_plural = _("stored responses")

    def __str__(self) -> str:
        return f"response of user #{self.user_id} at channel #{self.channel_id}"
