"""The snapshot holds what is stored, survives bad rows, and chooses as promised."""

from __future__ import annotations

import logging
import random
from collections import Counter
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from hypothesis import given
from hypothesis import strategies as st

from audit.services import SYSTEM
from channels_app import services, snapshot
from channels_app.models import Ability, Channel
from channels_app.providers import PROVIDERS
from channels_app.snapshot import Availability, Route, Tier, available, choose
from options.services import set_option
from tests.channels_app.test_services import lose_secrets, made


def route(channel_id: int, *, weight: int = 0, priority: int = 0) -> Route:
    return Route(
        channel_id=channel_id,
        type=1,
        provider=PROVIDERS[1],
        name=f"channel {channel_id}",
        key="sk-hidden",
        base_url="https://api.openai.com",
        enabled=True,
        model_mapping={},
        config={},
        system_prompt="",
        priority=priority,
        weight=weight,
        groups=frozenset({"default"}),
        proxy="",
        refuses_stream_options=False,
    )


@st.composite
def some_tiers(draw: st.DrawFn) -> tuple[Tier, ...]:
    sizes = draw(st.lists(st.integers(1, 5), min_size=0, max_size=4))
    ids = iter(range(1, 100))
    return tuple(
        Tier(-rank, tuple(route(next(ids), weight=draw(st.integers(0, 10**6)), priority=-rank) for _ in range(size)))
        for rank, size in enumerate(sizes)
    )


def never() -> float:
    raise AssertionError("there was nothing to decide")


@given(some_tiers(), st.integers(0, 2**32))
def test_every_route_is_drawn_once_and_tiers_go_from_high_to_low(tiers: tuple[Tier, ...], seed: int) -> None:
    dice = random.Random(seed)
    tried: frozenset[int] = frozenset()
    drawn = []
    while (chosen := choose(tiers, tried, dice.random)) is not None:
        assert chosen.channel_id not in tried
        drawn.append(chosen)
        tried |= {chosen.channel_id}

    assert len(drawn) == sum(len(tier.routes) for tier in tiers)
    assert [each.priority for each in drawn] == sorted((each.priority for each in drawn), reverse=True)


@given(some_tiers(), st.sets(st.integers(1, 20)), st.floats(0, 1, exclude_max=True))
def test_any_number_draws_an_untried_route_or_none(tiers: tuple[Tier, ...], tried: set[int], number: float) -> None:
    chosen = choose(tiers, frozenset(tried), lambda: number)
    left = [tier for tier in tiers if any(each.channel_id not in tried for each in tier.routes)]
    if chosen is None:
        assert not left
    else:
        assert chosen in left[0].routes
        assert chosen.channel_id not in tried


@given(st.lists(st.integers(0, 50), min_size=2, max_size=6), st.sets(st.integers(0, 5), max_size=2))
def test_the_share_of_a_route_is_its_weight(weights: list[int], tried_places: set[int]) -> None:
    tier = Tier(0, tuple(route(place, weight=weight) for place, weight in enumerate(weights)))
    left = {place: max(weight, 1) for place, weight in enumerate(weights) if place not in tried_places}
    total = sum(left.values())
    draws = Counter(
        chosen.channel_id
        for ticket in range(total)
        if (chosen := choose((tier,), frozenset(tried_places), lambda ticket=ticket: (ticket + 0.5) / total))  # type: ignore[misc]
    )
    assert draws == left


def test_a_single_candidate_is_taken_without_a_draw() -> None:
    alone = route(1)
    assert choose((Tier(5, (alone,)), Tier(0, (route(2), route(3)))), frozenset(), never) is alone


def test_the_last_untried_is_taken_without_a_draw() -> None:
    assert choose((Tier(5, (route(1), route(2))),), frozenset({1}), never).channel_id == 2  # type: ignore[union-attr]


def test_nothing_to_choose_from_is_none() -> None:
    assert choose((), frozenset(), never) is None


def test_a_key_is_not_shown() -> None:
    assert "sk-hidden" not in repr(route(1))


@pytest.mark.django_db
class TestLoad:
    def test_an_empty_deployment_carries_nothing(self) -> None:
        held = snapshot.load()
        assert (dict(held.channels), dict(held.abilities), dict(held.models)) == ({}, {}, {})
        assert available(held, "default", "gpt-4o") is Availability.NOT_CARRIED

    def test_a_route_is_what_is_stored(self) -> None:
        channel = made(
            priority=2,
            weight=3,
            group="default,vip",
            model_mapping='{"gpt-4": "gpt-4o", "same": ""}',
            system_prompt="Be brief.",
            config={"proxy": "http://p:1"},
        )
        held = snapshot.load().channels[channel.pk]
        assert (held.channel_id, held.type, held.provider.name, held.name) == (channel.pk, 1, "OpenAI", "gpt")
        assert (held.key, held.base_url, held.proxy) == ("sk-1", "https://api.openai.com", "http://p:1")
        assert (held.priority, held.weight, held.groups) == (2, 3, frozenset({"default", "vip"}))
        assert (held.upstream_model("gpt-4"), held.upstream_model("same")) == ("gpt-4o", "same")
        assert (held.system_prompt, held.enabled, held.refuses_stream_options) == ("Be brief.", True, False)

    def test_tiers_go_from_the_highest_priority_down(self) -> None:
        low, high, also_high = made(priority=-1), made(priority=7), made(priority=7)
        tiers = snapshot.load().tiers("default", "gpt-4o")
        assert [tier.priority for tier in tiers] == [7, -1]
        assert [each.channel_id for each in tiers[0].routes] == [high.pk, also_high.pk]
        assert [each.channel_id for each in tiers[1].routes] == [low.pk]

    def test_a_disabled_channel_is_known_but_not_chosen(self) -> None:
        channel = made()
        services.set_status(SYSTEM, channel.pk, 2)
        held = snapshot.load()
        assert not held.channels[channel.pk].enabled
        assert held.tiers("default", "gpt-4o") == ()
        assert available(held, "default", "gpt-4o") is Availability.OUT_OF_SERVICE
        assert available(held, "vip", "gpt-4o") is Availability.NOT_CARRIED
        assert held.models.get("default", ()) == ()

    def test_models_of_a_group_are_sorted(self) -> None:
        made(models="b,c")
        made(models="a,b")
        held = snapshot.load()
        assert held.models["default"] == ("a", "b", "c")
        assert held.carried["default"] == {"a", "b", "c"}
        assert available(held, "default", "a") is Availability.READY

    def test_the_number_of_queries_does_not_depend_on_the_number_of_channels(self) -> None:
        counts = []
        for _ in range(2):
            made()
            made(type=3, base_url="https://n.openai.azure.com")
            with CaptureQueriesContext(connection) as queries:
                snapshot.load()
            counts.append(len(queries))
        assert counts == [5, 5]

    def test_a_lost_secret_takes_out_its_channel_only(self, caplog: pytest.LogCaptureFixture) -> None:
        lost, well = made(name="lost one"), made()
        lose_secrets(lost)
        with caplog.at_level(logging.ERROR):
            held = snapshot.load()
        assert set(held.channels) == {well.pk}
        assert [each.channel_id for each in held.tiers("default", "gpt-4o")[0].routes] == [well.pk]
        assert f"channel #{lost.pk} (lost one) is left out of service" in caplog.text

    @pytest.mark.parametrize(
        ("columns", "complaint"),
        [({"type": 99}, "type 99 is not known"), ({"type": 50}, "no base URL")],
    )
    def test_an_unusable_row_is_left_out(
        self, columns: dict[str, Any], complaint: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        channel = made()
        Channel.objects.filter(pk=channel.pk).update(**columns)
        held = snapshot.load()
        assert not held.channels
        assert available(held, "default", "gpt-4o") is Availability.OUT_OF_SERVICE
        assert complaint in caplog.text

    @pytest.mark.parametrize("stored", ["{", "[]", '{"gpt-4o": 7}', "null"])
    def test_a_mapping_that_is_none_maps_nothing(self, stored: str, caplog: pytest.LogCaptureFixture) -> None:
        channel = made()
        Channel.objects.filter(pk=channel.pk).update(model_mapping=stored, config=stored)
        held = snapshot.load().channels[channel.pk]
        assert held.upstream_model("gpt-4o") == "gpt-4o"
        assert dict(held.config) == {}
        assert "model_mapping is not a JSON object of texts" in caplog.text

    def test_the_legacy_column_fills_an_empty_config_member_only(self) -> None:
        azure = {"type": 3, "base_url": "https://n.openai.azure.com", "other": "2024-03-01-preview"}
        by_other, by_config = made(**azure), made(**azure, config={"api_version": "2025-01-01"})
        elsewhere = made(other="2024-03-01-preview")
        channels = snapshot.load().channels
        assert channels[by_other.pk].config == {"api_version": "2024-03-01-preview"}
        assert channels[by_config.pk].config == {"api_version": "2025-01-01"}
        assert channels[elsewhere.pk].config == {}

    def test_an_ability_without_its_channel_is_carried_by_nobody_enabled(self) -> None:
        Ability.objects.create(group="default", model="ghost", channel_id=404)
        assert available(snapshot.load(), "default", "ghost") is Availability.OUT_OF_SERVICE

    def test_prices_and_options_come_along(self) -> None:
        before = snapshot.load()
        set_option(SYSTEM, "ModelRatio", '{"gpt-4o": 7}')
        set_option(SYSTEM, "RetryTimes", "3")
        held = snapshot.load()
        assert held.options["RetryTimes"] == 3
        assert held.prices.price("gpt-4o", 1, "default").model_ratio == Decimal(7)
        assert held.version == before.version + 2

    def test_one_route_is_read_alone(self) -> None:
        channel = made()
        held = snapshot.route(channel.pk)
        assert held is not None
        assert held.key == "sk-1"
        assert snapshot.route(404) is None
        lose_secrets(channel)
        with pytest.raises(snapshot.BadRow):
            snapshot.route(channel.pk)
