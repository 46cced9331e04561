"""Every periodic piece of work, in one place. A row is all there is to do to add one."""

from __future__ import annotations

from collections.abc import Callable

from django.conf import settings

from jobs.schedule import Job

HOUR = 3600  # seconds


def every(seconds: int) -> Callable[[], int | None]:
    """The same period always."""
    return lambda: seconds


def minutes(setting: str) -> Callable[[], int | None]:
    """The period that a variable gives in minutes; unset or 0 is off."""

    def period() -> int | None:
        value: int | None = getattr(settings, setting)
        return value * 60 if value else None

    return period


JOBS: tuple[Job, ...] = (
    Job("test channels", minutes("CHANNEL_TEST_FREQUENCY"), "channels_app.testing.scheduled", 6 * HOUR),
    Job("test channels on schedules of their own", every(60), "channels_app.testing.scheduled_each", 6 * HOUR),
    Job("update balances", minutes("CHANNEL_UPDATE_FREQUENCY"), "channels_app.balances.update_all", 6 * HOUR),
    Job("end timed disabling", every(5), "channels_app.timed.scheduled", 60),
    Job("digest keys of channels", every(HOUR), "channels_app.key_digests.scheduled", HOUR),
    Job("deliver notices", every(5), "notices.jobs.deliver", 600),
    Job("remind of low quotas", every(60), "notices.jobs.remind", 300),
    Job("reconcile the books", every(24 * HOUR), "billing.reconciliation.scheduled", 2 * HOUR),
    Job("delete old log lines", every(HOUR), "billing.retention.scheduled", HOUR),
    Job("add earlier calls to usage", every(600), "billing.usage_catch_up.scheduled", HOUR),
    Job("sum up weeks of usage", every(HOUR), "billing.usage_weeks.scheduled", HOUR),
    Job("forget stored responses", every(HOUR), "channels_app.stored_responses.scheduled", HOUR),
    Job("delete answers of idempotency keys", every(600), "idempotency.services.scheduled", HOUR),
    Job("clear sessions and rate windows", every(24 * HOUR), "accounts.housekeeping.scheduled", HOUR),
    Job("purge codes and dead letters", every(HOUR), "notices.jobs.purge", 300),
)
