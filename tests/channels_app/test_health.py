"""Changes of a channel's state happen once and are told once; the rate of success is that of exactly the last calls."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connections

from audit.services import SYSTEM
from channels_app import health, services
from channels_app.health import fold
from channels_app.models import BreakerState, Channel, ChannelHealth, ChannelStatus
from notices.models import Kind, OutboxMessage
from options.services import set_option
from tests.channels_app.test_services import abilities, made

pytestmark = pytest.mark.django_db


def status(channel: Channel) -> int:
    return Channel.objects.values_list("status", flat=True).get(pk=channel.pk)


def told() -> list[str]:
    return list(OutboxMessage.objects.order_by("id").values_list("kind", flat=True))


def test_one_notification_for_each_transition() -> None:
    channel = made(name="mine")

    assert health.disable(channel.pk, "out of money")
    assert not health.disable(channel.pk, "out of money")
    assert health.enable(channel.pk)
    assert not health.enable(channel.pk)

    assert told() == [Kind.CHANNEL_DISABLED, Kind.CHANNEL_ENABLED]
    facts = OutboxMessage.objects.earliest("id").facts
    assert facts == {"channel_id": channel.pk, "name": "mine", "reason": "out of money"}


def test_disabling_takes_the_abilities_along_and_says_why() -> None:
    channel = made(models="gpt-4o")

    health.disable(channel.pk, "out of money")

    channel.refresh_from_db()
    assert (channel.status, channel.status_reason) == (ChannelStatus.AUTO_DISABLED, "out of money")
    assert abilities(channel) == {("default", "gpt-4o", False, 0)}


def test_what_a_person_disabled_is_never_enabled_and_not_disabled_again() -> None:
    channel = made()
    services.set_status(SYSTEM, channel.pk, ChannelStatus.DISABLED)

    assert not health.enable(channel.pk)
    assert not health.disable(channel.pk, "x")

    assert status(channel) == ChannelStatus.DISABLED
    assert told() == []


def test_a_refused_account_is_disabled_only_if_the_operator_wants_that() -> None:
    channel = made()

    assert not health.account_refused(channel.pk, "invalid key")
    assert status(channel) == ChannelStatus.ENABLED
    set_option(SYSTEM, "AutomaticDisableChannelEnabled", "true")
    assert health.account_refused(channel.pk, "invalid key")
    assert status(channel) == ChannelStatus.AUTO_DISABLED


@pytest.mark.parametrize(
    ("window", "latest", "left", "tripped"),
    [
        ("", "1111", "1111", None),
        ("1111", "1", "11111", None),
        ("01111", "1", "11111", None),  # the oldest goes: five, not six
        ("11111", "0", "11110", None),  # 0.8 is not below 0.8
        ("11110", "0", "", 0.6),
        ("000", "0", "0000", None),  # not full yet
        ("0000", "1", "", 0.2),  # also looked at after a success
        ("", "0000011111", "11111", 0.0),
        ("", "1" * 50, "11111", None),
        ("1111111111", "1", "11111", None),  # the setting was larger before
    ],
)
def test_the_window_holds_exactly_the_last_calls(window: str, latest: str, left: str, tripped: float | None) -> None:
    assert fold(window, latest, 5, 0.8) == (left, tripped)


def test_a_channel_below_the_threshold_is_disabled(settings) -> None:
    settings.METRIC_QUEUE_SIZE, settings.METRIC_SUCCESS_RATE_THRESHOLD = 10, 0.8
    channel, other = made(), made()

    health.count_outcomes({channel.pk: "11111110", other.pk: "1"})
    health.count_outcomes({channel.pk: "0"})
    assert status(channel) == ChannelStatus.ENABLED
    health.count_outcomes({channel.pk: "0", 404: "1"})

    channel.refresh_from_db()
    assert channel.status == ChannelStatus.AUTO_DISABLED
    assert channel.status_reason == "最近 10 次调用的成功率为 70.00%，低于 80.00%"
    assert status(other) == ChannelStatus.ENABLED
    assert ChannelHealth.objects.get(pk=channel.pk).outcomes == ""
    assert told() == [Kind.CHANNEL_DISABLED]


@pytest.mark.django_db(transaction=True)
def test_no_outcome_of_many_workers_is_lost(settings) -> None:
    settings.METRIC_QUEUE_SIZE = 1000
    channel = made()

    def work(_: int) -> None:
        try:
            for _again in range(10):
                health.count_outcomes({channel.pk: "11"})
        finally:
            connections.close_all()

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(work, range(4)))

    assert ChannelHealth.objects.get(pk=channel.pk).outcomes == "1" * 80


def test_the_breaker_is_shown_beside_the_channel() -> None:
    channel = made()

    health.breaker_changed(
        channel.pk, BreakerState.OPEN, opened_until=99, failures=5, openings=1, last_failure="x" * 900
    )
    health.breaker_changed(channel.pk, BreakerState.CLOSED, opened_until=0, failures=0, openings=0, last_failure="")
    health.breaker_changed(404, BreakerState.OPEN, opened_until=99, failures=5, openings=1, last_failure="x")

    row = ChannelHealth.objects.get()
    assert (row.breaker_state, row.opened_until, row.last_failure) == (BreakerState.CLOSED, 0, "x" * 500)
    services.delete_channel(SYSTEM, channel.pk)
    assert not ChannelHealth.objects.exists()
