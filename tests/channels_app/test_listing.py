"""The console's list: what matches, and in how many queries."""

from __future__ import annotations

from typing import Any

import pytest

from channels_app import listing, runs
from channels_app.listing import Filters
from channels_app.models import Channel, ChannelHealth, ChannelStatus, Outcome
from tests.channels_app.test_services import lose_secrets, made

pytestmark = pytest.mark.django_db


def names(**asked: Any) -> list[str]:
    return [channel.name for channel in listing.matching(Filters(**asked)).order_by("id")]


@pytest.fixture
def three(db: None) -> None:
    first = made(name="Alpha 100%", base_url="https://api.one.example", models="gpt-4o,o1", tags="eu,fast", group="vip")
    second = made(name="beta_x", type=14, models="claude-3", tags="us", group="default,vip2", status=2)
    third = made(name="gamma", type=36, models="gpt-4", key="sk-findme")
    Channel.objects.filter(pk=first.pk).update(test_time=5, test_outcome=Outcome.SLOW, test_milliseconds=900)
    Channel.objects.filter(pk=second.pk).update(test_time=5, test_outcome=Outcome.FAILED, test_milliseconds=30)
    Channel.objects.filter(pk=third.pk).update(balance=2.5, balance_updated_time=9, status=3)


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ({}, ["Alpha 100%", "beta_x", "gamma"]),
        ({"text": "lph"}, ["Alpha 100%"]),
        ({"text": "ALPHA"}, ["Alpha 100%"]),
        ({"text": "%"}, ["Alpha 100%"]),
        ({"text": "_"}, ["beta_x"]),
        ({"text": "one.example"}, ["Alpha 100%"]),
        ({"text": "claude"}, ["beta_x"]),
        ({"text": "sk-findme"}, []),
        ({"type": 14}, ["beta_x"]),
        ({"group": "vip"}, ["Alpha 100%"]),
        ({"tag": "us"}, ["beta_x"]),
        ({"tag": "s"}, []),
        ({"model": "gpt-4"}, ["gamma"]),
        ({"model": "gpt-4%"}, []),
        ({"status": ChannelStatus.ENABLED}, ["Alpha 100%"]),
        ({"status": ChannelStatus.DISABLED}, ["beta_x"]),
        ({"status": ChannelStatus.AUTO_DISABLED}, ["gamma"]),
        ({"tested": "ok"}, ["Alpha 100%"]),
        ({"tested": "failed"}, ["beta_x"]),
        ({"tested": "never"}, ["gamma"]),
        ({"balance_below": 3.0}, ["gamma"]),
        ({"balance_below": 2.5}, []),
        ({"text": "a", "status": ChannelStatus.DISABLED}, ["beta_x"]),
    ],
)
def test_what_matches(three: None, asked: dict[str, Any], found: list[str]) -> None:
    """D20: substrings of what is shown, wildcards as themselves, and never the key."""
    assert names(**asked) == found


def test_the_id_is_found_whole_also_with_its_sign(three: None) -> None:
    channel = made(name="by id", base_url="")
    for text in (str(channel.pk), f"#{channel.pk}"):
        assert "by id" in names(text=text)
    assert names(text="9" * 19) == names(text="9" * 40) == []


def test_a_query_string_is_read_and_nonsense_asks_for_nothing() -> None:
    asked = listing.read({"text": " a ", "type": "14", "status": "3", "tested": "ok", "balance_below": "0", "p": "2"})
    assert asked == Filters(text="a", type=14, status=3, tested="ok", balance_below=0.0)
    assert asked.query() == {"text": "a", "type": "14", "status": "3", "tested": "ok", "balance_below": "0.0"}
    assert listing.read(asked.query()) == asked
    for nonsense in ({"type": "x", "status": "9", "tested": "maybe", "balance_below": "nan"}, {"type": "-1"}, {}):
        assert not listing.read(nonsense)


def test_models_are_counted(three: None) -> None:
    rows = listing.listed(Filters())
    counted = {channel.name: channel.models_count for channel in rows}  # type: ignore[attr-defined]
    assert counted == {"Alpha 100%": 2, "beta_x": 1, "gamma": 1}


def test_a_page_is_two_queries_however_many_channels(django_assert_num_queries) -> None:
    for number in range(12):
        channel = made(name=str(number))
        ChannelHealth.objects.create(pk=channel.pk, outcomes="101")
        for _ in range(3):
            runs.add_result(channel.pk, "x", "m", Outcome.PASSED, 0.1, "hi")
    lose_secrets(channel)

    with django_assert_num_queries(2):
        page = list(listing.listed(Filters()))
        bars = listing.probes(channel.pk for channel in page)
        assert {channel.health.outcomes for channel in page} == {"101"}
        assert {len(each) for each in bars.values()} == {3}


def test_the_latest_tests_of_each_channel_oldest_first() -> None:
    for milliseconds in range(25):
        for channel_id in (1, 2):
            runs.add_result(channel_id, "x", "m", Outcome.PASSED, milliseconds / 1000, "")
    bars = listing.probes([1])
    assert [result.milliseconds for result in bars[1]] == list(range(5, 25))
    assert set(bars) == {1}


def test_the_boxes_offer_what_is_in_use(three: None, django_assert_num_queries) -> None:
    with django_assert_num_queries(1):
        offered = listing.facets()
    assert offered == listing.Facets((1, 14, 36), ("default", "vip", "vip2"), ("eu", "fast", "us"))
