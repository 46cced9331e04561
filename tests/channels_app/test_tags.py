"""Channels by their tags: the sums, exactly, and that they take one query."""

from __future__ import annotations

import pytest

from channels_app import bulk, listing, tags
from channels_app.bulk import Action, Change
from channels_app.listing import NO_TAG, Filters
from channels_app.models import BreakerState, Channel, ChannelHealth, Outcome
from channels_app.services import ChannelInvalid
from channels_app.tags import Together
from tests.channels_app.test_services import ROOT, made

pytestmark = pytest.mark.django_db


def test_each_tag_sums_its_channels_up() -> None:
    first = made(name="first", tags="eu,fast", models="a,b")
    second = made(name="second", tags="eu", models="b,c", type=36, status=2)
    third = made(name="third", tags="fast", models="c")
    made(name="bare", models="d")
    rows = Channel.objects.filter
    rows(pk=first.pk).update(balance=1.5, balance_updated_time=9, used_quota=10, test_outcome=Outcome.PASSED)
    rows(pk=second.pk).update(balance=7, balance_updated_time=9, used_quota=200, test_outcome=Outcome.FAILED)
    rows(pk=third.pk).update(
        balance=99, used_quota=3000, status=3, test_outcome=Outcome.SLOW
    )  # never asked for balance
    ChannelHealth.objects.create(pk=first.pk, outcomes="1101")
    ChannelHealth.objects.create(pk=second.pk, outcomes="0", breaker_state=BreakerState.OPEN)

    found = tags.together(Filters())

    assert found == [
        Together("eu", 2, 1, 1, 0, 1, {"a", "b", "c"}, 210, {1: 1.5, 36: 7.0}, 2, 1, 5, 3),
        Together("fast", 2, 1, 0, 1, 0, {"a", "b", "c"}, 3010, {1: 1.5}, 2, 2, 4, 3),
        Together(NO_TAG, 1, 1, 0, 0, 0, {"d"}),
    ]


def test_filters_narrow_what_counts_and_a_filters_tag_is_the_only_row() -> None:
    made(tags="eu,fast")
    made(tags="eu", status=2)
    made()

    def counted(filters: Filters) -> list[tuple[str, int]]:
        return [(each.tag, each.channels) for each in tags.together(filters)]

    assert counted(Filters(status=1)) == [("eu", 1), ("fast", 1), (NO_TAG, 1)]
    assert counted(Filters(tag="eu")) == [("eu", 2)]
    assert counted(Filters(tag=NO_TAG)) == [(NO_TAG, 1)]
    assert counted(Filters(tag="none")) == []


def test_ten_thousand_channels_take_one_query(django_assert_num_queries) -> None:
    Channel.objects.bulk_create(
        [
            Channel(name=str(number), tags=f"t{number % 50},all", model_names="m", used_quota=1)
            for number in range(10_000)
        ]
    )

    with django_assert_num_queries(1):
        found = {each.tag: (each.channels, each.used_quota) for each in tags.together(Filters())}

    assert len(found) == 51
    assert found["all"] == (10_000, 10_000)
    assert found["t7"] == (200, 200)


def test_the_filter_finds_a_tags_channels_and_no_others() -> None:
    """Also where the database takes capitals for small letters: what is done to a tag must not reach another."""
    for text in ("eu", "EU", "eu-west,x", "a,eu,b", ""):
        made(name=text or "none", tags=text)

    def names(tag: str) -> list[str]:
        return list(listing.matching(Filters(tag=tag)).order_by("id").values_list("name", flat=True))

    assert names("eu") == ["eu", "a,eu,b"]
    assert names("EU") == ["EU"]
    assert names(NO_TAG) == ["none"]


@pytest.mark.parametrize(
    ("before", "after"),
    [("a,eu,b", "a,europe,b"), ("eu,europe", "europe"), ("europe,x,eu", "europe,x"), ("eu-west", "eu-west")],
)
def test_a_tag_is_renamed_in_its_place_and_never_doubled(before: str, after: str) -> None:
    channel = made(tags=before)
    bulk.apply(ROOT, Change(Action.RENAME_TAG, "eu,europe"), [channel.pk])
    assert Channel.objects.get(pk=channel.pk).tags == after


@pytest.mark.parametrize("value", ["eu", "eu,", "eu,eu", "eu,a,b"])
def test_renaming_takes_two_names(value: str) -> None:
    channel = made(tags="eu")
    with pytest.raises(ChannelInvalid, match="name the tag and one other name for it"):
        bulk.apply(ROOT, Change(Action.RENAME_TAG, value), [channel.pk])
    with pytest.raises(ChannelInvalid, match="say what to add or to remove"):
        bulk.apply(ROOT, Change(Action.RENAME_TAG, ","), [channel.pk])
    assert Channel.objects.get(pk=channel.pk).tags == "eu"


def test_a_new_name_that_does_not_fit_is_refused_for_that_channel() -> None:
    channel = made(tags=",".join(["eu", *(f"{number:061}" for number in range(8))]))
    (line,) = bulk.preview(Change(Action.RENAME_TAG, f"eu,{'x' * 60}"), [channel.pk])
    assert line.refusal.startswith("tags is longer than 500 characters")
