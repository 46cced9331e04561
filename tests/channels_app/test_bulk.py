"""One change to many channels: what is shown, what is refused, and that nothing is done by halves."""

from __future__ import annotations

import pytest

from audit.models import AuditEntry
from channels_app import bulk
from channels_app.bulk import Action, BulkRefused, Change, Line
from channels_app.models import Ability, Channel, ChannelHealth, ChannelStatus
from channels_app.services import ChannelInvalid
from tests.channels_app.test_services import ROOT, abilities, lose_secrets, made, routing

pytestmark = pytest.mark.django_db


def test_a_preview_shows_before_and_after_and_changes_nothing() -> None:
    first, second = made(name="a", priority=1), made(name="b", priority=5)
    version = routing()

    lines = bulk.preview(Change(Action.SET_PRIORITY, "5"), [second.pk, first.pk, 999])

    assert lines == [Line(first.pk, "a", "1", "5"), Line(second.pk, "b", "5", "5")]
    assert [line.changes for line in lines] == [True, False]
    assert Channel.objects.get(pk=first.pk).priority == 1
    assert routing() == version
    assert not AuditEntry.objects.filter(action="channel.bulk").exists()


@pytest.mark.parametrize(
    ("action", "value", "column", "before", "after"),
    [
        (Action.ADD_GROUP, "vip, default", "group", "default", "default,vip"),
        (Action.REMOVE_GROUP, "vip", "group", "default,vip", "default"),
        (Action.ADD_MODEL, "m2\nm3", "model_names", "m1,m2", "m1,m2,m3"),
        (Action.REMOVE_MODEL, "m1,m9", "model_names", "m1,m2", "m2"),
        (Action.SET_TAGS, "x,y", "tags", "a", "x,y"),
        (Action.SET_TAGS, "", "tags", "a", ""),
        (Action.ADD_TAG, "b", "tags", "a", "a,b"),
        (Action.REMOVE_TAG, "a", "tags", "a", ""),
        (Action.SET_PRIORITY, "-3", "priority", 0, -3),
        (Action.SET_WEIGHT, "0", "weight", 7, 0),
    ],
)
def test_each_change_writes_its_column(action: Action, value: str, column: str, before: object, after: object) -> None:
    field = "models" if column == "model_names" else column
    channel = made(**{field: before})

    (line,) = bulk.apply(ROOT, Change(action, value), [channel.pk])

    channel.refresh_from_db()
    assert getattr(channel, column) == after
    assert (line.before, line.after) == (str(before), str(after))
    expected = {
        (group, model, True, channel.priority)
        for group in channel.group.split(",")
        for model in channel.model_names.split(",")
    }
    assert abilities(channel) == expected


def test_one_transaction_makes_one_entry_and_one_version() -> None:
    channels = [made(name=str(number)) for number in range(3)]
    version = routing()

    changed = bulk.apply(ROOT, Change(Action.DISABLE), [channel.pk for channel in channels], "moving house")

    assert len(changed) == 3
    assert set(Channel.objects.values_list("status", "status_reason")) == {(ChannelStatus.DISABLED, "moving house")}
    assert not Ability.objects.filter(enabled=True).exists()
    assert routing() == version + 1
    entry = AuditEntry.objects.get(action="channel.bulk")
    ids = [channel.pk for channel in channels]
    assert entry.detail == {"change": "disable", "value": "", "ids": ids, "reason": "moving house"}


def test_what_would_be_left_without_models_is_named_and_nothing_is_changed() -> None:
    safe, bare = made(name="safe", models="m1,m2"), made(name="bare", models="m1")
    change = Change(Action.REMOVE_MODEL, "m1")

    assert [line.refusal for line in bulk.preview(change, [safe.pk, bare.pk])] == [
        "",
        "it would be left without a model",
    ]
    with pytest.raises(BulkRefused, match=f"#{bare.pk} bare: it would be left without a model") as refused:
        bulk.apply(ROOT, change, [safe.pk, bare.pk])

    assert [line.channel_id for line in refused.value.lines] == [bare.pk]
    assert Channel.objects.get(pk=safe.pk).model_names == "m1,m2"
    assert not AuditEntry.objects.filter(action="channel.bulk").exists()


def test_what_would_be_left_without_groups_is_refused() -> None:
    channel = made(group="vip")
    with pytest.raises(BulkRefused, match="left without a group"):
        bulk.apply(ROOT, Change(Action.REMOVE_GROUP, "vip"), [channel.pk])
    assert abilities(channel) == {("vip", "gpt-4o", True, 0), ("vip", "gpt-4", True, 0)}


def test_tags_that_would_not_fit_together_are_refused_for_that_channel() -> None:
    channel = made(tags=",".join(f"{number:060}" for number in range(8)))
    (line,) = bulk.preview(Change(Action.ADD_TAG, "x" * 20), [channel.pk])
    assert line.refusal.startswith("tags is longer than 500 characters")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (Change(Action.SET_PRIORITY, "high"), "priority must be a whole number"),
        (Change(Action.SET_PRIORITY, ""), "priority must be a whole number"),
        (Change(Action.SET_WEIGHT, "-1"), "weight must be a whole number between 0 and 1000000"),
        (Change(Action.ADD_GROUP, " , "), "say what to add"),
        (Change(Action.REMOVE_MODEL, ""), "say what to add or to remove"),
        (Change(Action.ADD_TAG, ""), "say what to add"),
        (Change(Action.ADD_GROUP, "g" * 65), "group is longer than 64"),
    ],
)
def test_a_change_that_says_nothing_usable_is_refused(change: Change, message: str) -> None:
    channel = made()
    for call in (lambda: bulk.preview(change, [channel.pk]), lambda: bulk.apply(ROOT, change, [channel.pk])):
        with pytest.raises(ChannelInvalid, match=message):
            call()


def test_deleting_takes_the_abilities_along() -> None:
    """D25: routing rows were left behind."""
    gone, stays = made(name="gone"), made(name="stays")
    ChannelHealth.objects.create(pk=gone.pk)

    bulk.apply(ROOT, Change(Action.DELETE), [gone.pk])

    assert list(Channel.objects.values_list("name", flat=True)) == ["stays"]
    assert set(Ability.objects.values_list("channel_id", flat=True)) == {stays.pk}
    assert not ChannelHealth.objects.exists()


def test_enabling_ends_a_timed_disable_and_leaves_enabled_ones_alone() -> None:
    on, off = made(name="on"), made(name="off", status=2)
    Channel.objects.filter(pk=off.pk).update(disabled_until=9**10, status_reason="why")

    changed = bulk.apply(ROOT, Change(Action.ENABLE), [on.pk, off.pk])

    assert [line.channel_id for line in changed] == [off.pk]
    off.refresh_from_db()
    assert (off.status, off.disabled_until, off.status_reason) == (ChannelStatus.ENABLED, 0, "")


def test_nothing_to_change_leaves_no_trace() -> None:
    channel = made(tags="a")
    version = routing()

    assert bulk.apply(ROOT, Change(Action.ADD_TAG, "a"), [channel.pk]) == []
    assert bulk.apply(ROOT, Change(Action.DELETE), [999]) == []

    assert routing() == version
    assert not AuditEntry.objects.filter(action="channel.bulk").exists()


def test_a_channel_whose_secret_is_lost_takes_part() -> None:
    channel = made()
    lose_secrets(channel)
    assert len(bulk.apply(ROOT, Change(Action.ADD_TAG, "lost"), [channel.pk])) == 1


def test_more_channels_than_a_database_takes_parameters_for(django_assert_max_num_queries) -> None:
    Channel.objects.bulk_create(Channel(name=str(number), model_names="m") for number in range(2100))
    ids = list(Channel.objects.values_list("pk", flat=True))

    with django_assert_max_num_queries(25):
        assert len(bulk.apply(ROOT, Change(Action.SET_WEIGHT, "4"), ids)) == 2100

    assert set(Channel.objects.values_list("weight", flat=True)) == {4}
