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


class Outcome(models.IntegerChoices):
    """Of one test. Told apart from its time: a test that failed at once was made all the same."""

    UNKNOWN = 0, _("not tested")
    PASSED = 1, _("passed")
    FAILED = 2, _("failed")
    SLOW = 3, _("passed, too slow")


class Channel(models.Model):
    """One provider account. `type` is a row of `channels_app.providers`; `key` and `config` are encrypted at rest.

    Saved through `channels_app.services`, which rebuilds the abilities and raises the routing version. `key_digest` is
    the key's keyed digest, by which a key is found; "" until `channels_app.key_digests` has made it.
    """

    type = models.IntegerField(default=1)
    key = EncryptedTextField(default="", blank=True)
    status = models.IntegerField(choices=ChannelStatus.choices, default=ChannelStatus.ENABLED)
    name = models.CharField(max_length=128, default="", blank=True, db_index=True)
    weight = models.BigIntegerField(default=0)
    created_time = models.BigIntegerField(default=0)
    test_time = models.BigIntegerField(default=0)
    response_time = models.BigIntegerField(default=0)  # milliseconds of the last test; 0 where a single one failed
    test_outcome = models.IntegerField(choices=Outcome.choices, default=Outcome.UNKNOWN, db_default=0)
    test_milliseconds = models.BigIntegerField(default=0, db_default=0)  # of the last test, however it ended
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
    tags = models.CharField(max_length=500, default="", db_default="", blank=True)  # comma separated
    test_model = models.CharField(max_length=191, default="", db_default="", blank=True)  # "": chosen by the test
    # minutes between two tests; None: as CHANNEL_TEST_FREQUENCY says, 0: none but those people ask for
    test_every = models.IntegerField(null=True, blank=True)
    auto_disable = models.BooleanField(default=True, db_default=True)  # False: only people take it out of service
    notes = models.TextField(default="", db_default="", blank=True)  # for the operators themselves
    disabled_until = models.BigIntegerField(default=0, db_default=0)  # Unix seconds; 0: not for a time
    key_digest = models.CharField(max_length=64, default="", db_default="", blank=True, db_index=True)

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
    paused_until = models.BigIntegerField(db_default=0)  # Unix milliseconds; its upstream asks for a pause
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


class TestRun(models.Model):
    """One test of many channels. How it stands is `channels_app.runs.state`'s to say, from the lease and `ended`.

    `model`: asked of all that list it; "": each channel's own. Moments are Unix seconds. `holder` names the acquisition
    of the lease under which it runs.
    """

    __test__ = False  # none of pytest's

    scope = models.CharField(max_length=16)
    model = models.CharField(max_length=191, default="", blank=True)
    started_by = models.CharField(max_length=64, default="", blank=True)
    started = models.BigIntegerField()
    finished = models.BigIntegerField(default=0)
    total = models.IntegerField(default=0)
    holder = models.CharField(max_length=32, default="", blank=True)
    at_once = models.IntegerField(default=10, db_default=10)  # channels tested at a time
    cancelled = models.BooleanField(default=False)  # somebody asked for it to end
    ended = models.CharField(max_length=16, default="", blank=True)  # "" until it says itself how it ended

    class Meta:
        db_table = "channel_test_runs"
        verbose_name = _("test run")
        verbose_name_plural = _("test runs")

    def __str__(self) -> str:
        return f"test run #{self.pk}"


class TestRunResult(models.Model):
    """What one test of one channel found, in a run or by itself (`run` None). The channel may be gone meanwhile."""

    __test__ = False

    run = models.ForeignKey(
        TestRun, on_delete=models.CASCADE, related_name="results", null=True, blank=True, db_constraint=False
    )
    channel_id = models.BigIntegerField()
    channel_name = models.CharField(max_length=128, default="", blank=True)
    model = models.CharField(max_length=191, default="", blank=True)
    outcome = models.IntegerField(choices=Outcome.choices)
    milliseconds = models.BigIntegerField(default=0)
    message = models.TextField(default="", blank=True)  # what the model said, or the error; redacted, cut
    change = models.IntegerField(default=0)  # the status the test made of the channel; 0: none
    tested_at = models.BigIntegerField(db_index=True)

    class Meta:
        db_table = "channel_test_results"
        verbose_name = _("test result")
        verbose_name_plural = _("test results")
        indexes = [models.Index(fields=["channel_id", "id"], name="test_result_of_channel")]

    def __str__(self) -> str:
        return f"test of channel #{self.channel_id}"
