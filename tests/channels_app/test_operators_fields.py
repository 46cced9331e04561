"""What operators say about a channel: tags, notes, a test model, no automatic disabling, a time to be away."""

from __future__ import annotations

import time

import pytest

from audit.models import AuditEntry
from channels_app import health, services, timed
from channels_app.models import Ability, Channel, ChannelStatus
from channels_app.probe import choose_model
from channels_app.services import ChannelInvalid, update_channel
from jobs import table
from tests.channels_app.test_services import ROOT, made, routing

pytestmark = pytest.mark.django_db


def test_tags_are_trimmed_and_each_kept_once() -> None:
    assert made(tags=" fast, eu\nfast,,cheap ").tags == "fast,eu,cheap"


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"tags": "x" * 65}, "tags is longer than 64 characters"),
        ({"tags": ",".join(f"{number:060}" for number in range(9))}, "tags is longer than 500 characters"),
        ({"test_model": "m" * 192}, "test_model is longer than 191 characters"),
        ({"notes": "n" * 10_001}, "notes is longer than 10000 characters"),
        ({"notes": 5}, "notes must be text"),
        ({"auto_disable": "no"}, "auto_disable must be true or false"),
    ],
)
def test_what_cannot_be_stored_is_refused(fields: dict[str, object], message: str) -> None:
    channel = made()
    with pytest.raises(ChannelInvalid, match=message):
        update_channel(ROOT, channel.pk, fields)


def test_an_update_without_them_keeps_them_and_empty_texts_clear_them() -> None:
    channel = made(tags="a", notes="ask Bob", test_model="gpt-4", auto_disable=False)

    update_channel(ROOT, channel.pk, {"name": "other"})
    channel.refresh_from_db()
    kept = (channel.tags, channel.notes, channel.test_model, channel.auto_disable)
    update_channel(ROOT, channel.pk, {"tags": "", "notes": "", "test_model": "", "auto_disable": True})
    channel.refresh_from_db()

    assert kept == ("a", "ask Bob", "gpt-4", False)
    assert (channel.tags, channel.notes, channel.test_model, channel.auto_disable) == ("", "", "", True)


def test_who_must_not_be_disabled_automatically_stays_enabled() -> None:
    channel = made(auto_disable=False)

    assert health.disable(channel.pk, "status 401") is False
    assert Channel.objects.get(pk=channel.pk).status == ChannelStatus.ENABLED
    services.set_status(ROOT, channel.pk, ChannelStatus.DISABLED)  # a person still may
    assert Channel.objects.get(pk=channel.pk).status == ChannelStatus.DISABLED


@pytest.mark.parametrize(
    ("names", "asked", "stored", "tested"),
    [
        ("a,gpt-3.5-turbo,b", None, "b", "b"),
        ("a,b", "", "b", "b"),
        ("a,b", "undefined", "b", "b"),
        ("a,b", "a", "b", "a"),
        ("a,gpt-3.5-turbo", None, "gone", "gpt-3.5-turbo"),
        ("a,b", None, "", "a"),
    ],
)
def test_the_stored_test_model_counts_while_it_is_listed_and_nobody_asks_for_another(
    names: str, asked: str | None, stored: str, tested: str
) -> None:
    assert choose_model(names, asked, stored) == tested


class TestATimedDisable:
    def test_ends_by_itself_when_the_time_is_up(self) -> None:
        channel = made()
        timed.disable_until(ROOT, channel.pk, int(time.time()) + 60, "the provider moves house")
        assert not Ability.objects.filter(channel=channel, enabled=True).exists()
        assert timed.end_due() == []
        Channel.objects.filter(pk=channel.pk).update(disabled_until=int(time.time()))
        version = routing()

        assert timed.end_due() == [channel.pk]

        channel.refresh_from_db()
        assert (channel.status, channel.disabled_until, channel.status_reason) == (ChannelStatus.ENABLED, 0, "")
        assert Ability.objects.filter(channel=channel, enabled=True).count() == 2
        assert routing() == version + 1
        assert AuditEntry.objects.get(action="channel.enable").detail == {"after": "its time"}
        assert timed.end_due() == []

    def test_is_for_good_once_somebody_disables_the_channel_anew(self) -> None:
        channel = made()
        timed.disable_until(ROOT, channel.pk, int(time.time()) + 60)

        services.set_status(ROOT, channel.pk, ChannelStatus.DISABLED)

        assert Channel.objects.get(pk=channel.pk).disabled_until == 0

    def test_is_over_once_somebody_changes_the_status(self) -> None:
        channel = made()
        timed.disable_until(ROOT, channel.pk, int(time.time()) + 60)

        update_channel(ROOT, channel.pk, {"status": 1})

        channel.refresh_from_db()
        assert (channel.status, channel.disabled_until) == (ChannelStatus.ENABLED, 0)

    def test_leaves_alone_what_somebody_disabled_for_good_in_the_same_moment(self) -> None:
        channel = made()
        timed.disable_until(ROOT, channel.pk, int(time.time()) + 60)
        services.set_status(ROOT, channel.pk, ChannelStatus.DISABLED)

        assert timed._end(channel.pk, int(time.time()) + 61) is False  # found due a moment before

        assert Channel.objects.get(pk=channel.pk).status == ChannelStatus.DISABLED

    @pytest.mark.parametrize("ahead", [-1, 0, timed.LONGEST + 5])
    def test_lies_ahead_and_within_a_year(self, ahead: int) -> None:
        channel = made()
        with pytest.raises(ChannelInvalid, match="within a year"):
            timed.disable_until(ROOT, channel.pk, int(time.time()) + ahead)
        assert Channel.objects.get(pk=channel.pk).status == ChannelStatus.ENABLED

    def test_is_looked_at_every_few_seconds(self) -> None:
        (job,) = [job for job in table.JOBS if job.work == "channels_app.timed.scheduled"]
        assert job.every_seconds() == 5
        assert job.load() is timed.scheduled
