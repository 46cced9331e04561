"""HOW MUCH: what is set aside while a call runs, what was charged, and the log people read.

Quota is a 64-bit integer of points. Ids instead of foreign keys: rows outlive the users, tokens and channels they
name, and logs may live in another database.
"""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _


class EntryKind(models.TextChoices):
    OPENING = "opening", _("opening balance")
    GIFT = "gift", _("gift")
    INVITATION = "invitation", _("invitation")
    TOP_UP = "top_up", _("top-up")
    REDEMPTION = "redemption", _("redemption code")
    ADMIN = "admin", _("changed by an administrator")
    CHARGE = "charge", _("charge")


class LedgerEntry(models.Model):
    """One movement of one balance. Append-only: a user's quota is the sum of these at every commit (invariant I1)."""

    user_id = models.BigIntegerField()
    kind = models.CharField(max_length=16, choices=EntryKind.choices)
    amount = models.BigIntegerField()  # points; charges are negative or 0
    created_at = models.BigIntegerField()
    # A charge carries its call's request id, a redemption its code's: the second one is refused (I3).
    reference = models.CharField(max_length=64, unique=True, null=True)
    token_id = models.BigIntegerField(default=0)
    channel_id = models.BigIntegerField(default=0)
    actor_id = models.BigIntegerField(default=0)
    note = models.CharField(max_length=255, default="", blank=True)

    class Meta:
        db_table = "ledger_entries"
        verbose_name = _("ledger entry")
        verbose_name_plural = _("ledger entries")
        indexes = [models.Index(fields=["user_id", "id"], name="ledger_user")]

    def __str__(self) -> str:
        return f"{self.kind} {self.amount} of user {self.user_id}"


class Hold(models.Model):
    """What an open call has set aside. Settling or releasing deletes the row, and whoever deletes it acts (I3, I5).

    The columns after `expires_at` are what a sweeper needs to settle for a process that died: the charge for
    what was generated when the stream last recorded its progress, 0 while nothing was.
    """

    request_id = models.CharField(max_length=40, primary_key=True)
    user_id = models.BigIntegerField()
    token_id = models.BigIntegerField()
    amount = models.BigIntegerField()
    token_amount = models.BigIntegerField()  # 0 for an unlimited token
    worker = models.CharField(max_length=40, db_index=True)
    created_at = models.BigIntegerField()
    expires_at = models.BigIntegerField(db_index=True)
    channel_id = models.BigIntegerField(default=0)
    username = models.CharField(max_length=64, default="")
    token_name = models.CharField(max_length=64, default="")
    model_name = models.CharField(max_length=191, default="")
    prompt_tokens = models.BigIntegerField(default=0)
    completion_tokens = models.BigIntegerField(default=0)
    charge = models.BigIntegerField(default=0)
    content = models.TextField(default="")

    class Meta:
        db_table = "holds"
        verbose_name = _("hold")
        verbose_name_plural = _("holds")

    def __str__(self) -> str:
        return self.request_id


class LogType(models.IntegerChoices):
    UNKNOWN = 0, _("unknown")
    TOP_UP = 1, _("top-up")
    CONSUME = 2, _("consumption")
    MANAGE = 3, _("management")
    SYSTEM = 4, _("system")
    TEST = 5, _("test")
    ERROR = 6, _("error")  # a call that failed and cost nothing


class Log(models.Model):
    """One line of the log that users and operators read. May be purged; the ledger may not."""

    user_id = models.BigIntegerField(default=0)
    created_at = models.BigIntegerField()
    type = models.IntegerField(choices=LogType.choices, default=LogType.UNKNOWN)
    content = models.TextField(default="", blank=True)
    username = models.CharField(max_length=64, default="", blank=True)
    token_name = models.CharField(max_length=64, default="", blank=True)
    token_id = models.BigIntegerField(default=0)
    model_name = models.CharField(max_length=191, default="", blank=True)
    quota = models.BigIntegerField(default=0)
    prompt_tokens = models.BigIntegerField(default=0)
    completion_tokens = models.BigIntegerField(default=0)
    channel_id = models.BigIntegerField(default=0)
    request_id = models.CharField(max_length=40, default="", blank=True)
    elapsed_time = models.BigIntegerField(default=0)  # milliseconds
    is_stream = models.BooleanField(default=False)
    system_prompt_reset = models.BooleanField(default=False)
    estimated = models.BooleanField(default=False)  # the upstream sent no usage; we counted
    uncollected = models.BigIntegerField(default=0)  # cost beyond hold and balance (I2)
    # What the tokens consisted of, where the upstream said: JSON, by the fields of billing.pricing.Usage; or "".
    usage_details = models.CharField(max_length=255, default="", db_default="", blank=True)
    cached_tokens = models.BigIntegerField(default=0, db_default=0)  # of the prompt, as in usage_details
    group = models.CharField(max_length=64, default="", db_default="", blank=True)  # the caller's, as billed
    ip = models.CharField(max_length=45, default="", db_default="", blank=True)  # the caller's
    # HTTP status the caller got, 499 for one who left. 0: no call, or written before there were roll-ups (UsageHour).
    status = models.IntegerField(default=0, db_default=0)
    error_code = models.CharField(max_length=64, default="", db_default="", blank=True)  # "" where nothing failed
    first_token_time = models.BigIntegerField(default=0, db_default=0)  # ms to a stream's first byte; 0 unknown
    upstream_model = models.CharField(max_length=191, default="", db_default="", blank=True)  # "" where not mapped
    user_agent = models.CharField(max_length=120, default="", db_default="", blank=True)

    class Meta:
        db_table = "logs"
        verbose_name = _("log line")
        verbose_name_plural = _("log lines")
        indexes = [
            models.Index(fields=["created_at", "type"], name="log_created_type"),
            models.Index(fields=["request_id"], name="log_request"),
            models.Index(fields=["user_id", "id"], name="log_user"),
            # Newest first of one user, model, …, and of a span of time: no sorting, which is slow for many lines.
            models.Index(fields=["user_id", "created_at"], name="log_user_created"),
            models.Index(fields=["model_name", "created_at"], name="log_model_created"),
            models.Index(fields=["token_name", "created_at"], name="log_token_created"),
            models.Index(fields=["channel_id", "created_at"], name="log_channel_created"),
            models.Index(fields=["type", "created_at"], name="log_type_created"),
        ]

    def __str__(self) -> str:
        return f"{self.get_type_display()} {self.quota} of {self.username}"


class LogOutbox(models.Model):
    """Log rows on their way to the log database (LOG_SQL_DSN), written in the transaction of what they tell of."""

    created_at = models.BigIntegerField(db_index=True)
    row = models.JSONField()
    claim = models.CharField(max_length=32, default="", db_default="", db_index=True)  # the shipper that copies it
    claimed_at = models.BigIntegerField(default=0, db_default=0)  # 0: nobody; in the future: set aside

    class Meta:
        db_table = "log_outbox"
        verbose_name = _("waiting log line")
        verbose_name_plural = _("waiting log lines")

    def __str__(self) -> str:
        return f"#{self.pk}"


class UsageSums(models.Model):
    """Sums over the calls of one period, user, token, channel, model and group; raised in the settlement's transaction.

    `requests` are all calls, `errors` those of them that failed, charged or not. Unlike the log, never purged.
    """

    user_id = models.BigIntegerField()
    token_id = models.BigIntegerField()
    channel_id = models.BigIntegerField()
    model_name = models.CharField(max_length=191)
    group = models.CharField(max_length=64)
    requests = models.BigIntegerField()
    errors = models.BigIntegerField()
    prompt_tokens = models.BigIntegerField()
    completion_tokens = models.BigIntegerField()
    cached_tokens = models.BigIntegerField()
    quota = models.BigIntegerField()  # points
    elapsed = models.BigIntegerField()  # milliseconds, all calls together

    class Meta:
        abstract = True


class UsageHour(UsageSums):
    """`hour`: Unix seconds at which it begins, a multiple of 3,600."""

    hour = models.BigIntegerField()

    class Meta:
        db_table = "usage_hours"
        verbose_name = _("usage of an hour")
        verbose_name_plural = _("usage by hours")
        constraints = [
            models.UniqueConstraint(
                fields=["hour", "user_id", "token_id", "channel_id", "model_name", "group"], name="usage_hour_row"
            )
        ]
        indexes = [models.Index(fields=["user_id", "hour"], name="usage_hour_user")]

    def __str__(self) -> str:
        return f"{self.hour}: {self.requests} of user {self.user_id}"


class UsageDay(UsageSums):
    """The same by days of UTC, for long ranges. `day`: Unix seconds at which it begins, a multiple of 86,400."""

    day = models.BigIntegerField()

    class Meta:
        db_table = "usage_days"
        verbose_name = _("usage of a day")
        verbose_name_plural = _("usage by days")
        constraints = [
            models.UniqueConstraint(
                fields=["day", "user_id", "token_id", "channel_id", "model_name", "group"], name="usage_day_row"
            )
        ]
        indexes = [models.Index(fields=["user_id", "day"], name="usage_day_user")]

    def __str__(self) -> str:
        return f"{self.day}: {self.requests} of user {self.user_id}"


class UsageWeek(UsageSums):
    """Sums over a week of UTC by one column of UsageDay, `side`, or all together; the other columns are 0 or "".

    For years over everybody. Made from the days (billing.usage_weeks), valid before UsageCatchUp.weeks_until.
    """

    week = models.BigIntegerField()  # Unix seconds at which its Monday begins
    side = models.CharField(max_length=16)  # "user_id", "token_id", "channel_id", "model_name", "group" or "all"

    class Meta:
        db_table = "usage_weeks"
        verbose_name = _("usage of a week")
        verbose_name_plural = _("usage by weeks")
        constraints = [
            models.UniqueConstraint(
                fields=["side", "week", "user_id", "token_id", "channel_id", "model_name", "group"],
                name="usage_week_row",
            )
        ]

    def __str__(self) -> str:
        return f"{self.week}: {self.requests} by {self.side}"


class UsageCatchUp(models.Model):
    """How far log lines from before these sums have been added to them (billing.usage_catch_up). One row, number 1.

    Whoever writes into days before `weeks_until` moves that back in the same transaction: later weeks may be stale.
    """

    last_id = models.BigIntegerField(default=0)  # of the log lines looked at
    started_at = models.BigIntegerField()
    newest = models.BigIntegerField(default=0)  # when the newest line that had to be added was written
    lines = models.BigIntegerField(default=0)  # that were added
    weeks_until = models.BigIntegerField(default=0, db_default=0)  # a Monday; UsageWeek is true of every week before

    class Meta:
        db_table = "usage_catch_up"
        verbose_name = _("catching up of usage")
        verbose_name_plural = _("catching up of usage")

    def __str__(self) -> str:
        return f"log line {self.last_id}"


class PriceSheet(models.Model):
    """Prices fetched by `manage.py sync_prices`. One row at most: a new sheet takes the place of the old one."""

    source = models.CharField(max_length=255)
    synced_at = models.BigIntegerField()
    prices = models.TextField()  # JSON: model -> {"model": ratio, "completion": ratio, <part>: ratio}, ratios as text

    class Meta:
        db_table = "price_sheets"
        verbose_name = _("price sheet")
        verbose_name_plural = _("price sheets")

    def __str__(self) -> str:
        return self.source


class CounterKind(models.TextChoices):
    USER = "user", _("user")
    TOKEN = "token", _("token")
    CHANNEL = "channel", _("channel")


class CounterOpening(models.Model):
    """What a counter showed beyond the ledger's charges when it came over from another installation.

    Recorded once, by the first reconciliation after an import; from then on the counter must move with the ledger.
    """

    kind = models.CharField(max_length=16, choices=CounterKind.choices)
    row_id = models.BigIntegerField()
    used_quota = models.BigIntegerField(default=0)  # points
    request_count = models.BigIntegerField(default=0)  # users only

    class Meta:
        db_table = "counter_openings"
        verbose_name = _("opening of a counter")
        verbose_name_plural = _("openings of counters")
        constraints = [models.UniqueConstraint(fields=["kind", "row_id"], name="counter_opening_row")]

    def __str__(self) -> str:
        return f"{self.kind} {self.row_id}: {self.used_quota}"


class ReconciliationReport(models.Model):
    """What one comparison of ledger, balances, holds, counters and logs found. Append-only; it never repairs."""

    created_at = models.BigIntegerField(db_index=True)
    duration = models.BigIntegerField()  # milliseconds
    difference_count = models.BigIntegerField()
    differences = models.JSONField(default=list)  # the first 100: {check, row, stored, expected}
    compared = models.JSONField(default=dict)  # how many rows of what were looked at
    logs_from = models.BigIntegerField(default=0)  # log lines from here to before logs_until were compared;
    logs_until = models.BigIntegerField(default=0)  # both 0: none could be

    class Meta:
        db_table = "reconciliation_reports"
        verbose_name = _("reconciliation report")
        verbose_name_plural = _("reconciliation reports")

    def __str__(self) -> str:
        return f"#{self.pk}: {self.difference_count}"
