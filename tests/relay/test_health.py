"""Breakers: they open after failures in a row, let one call probe, close again, and never refuse a call."""

from __future__ import annotations

import json
import time
from types import SimpleNamespace
from typing import Any

import pytest

from channels_app import health as channel_health
from channels_app.models import BreakerState
from channels_app.providers import PROVIDERS
from channels_app.snapshot import Route, Tier
from relay import health
from relay.errors import UpstreamError, UpstreamTimeout, UpstreamUnreachable
from relay.health import Health
from relay.route import Plan
from relay.upstream_errors import normalise

OPEN, HALF_OPEN, CLOSED = BreakerState.OPEN, BreakerState.HALF_OPEN, BreakerState.CLOSED


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Seen:
    """Stands where the writing thread is: what would have been written, in order."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, watched: Health) -> None:
        self.breakers: list[tuple[int, BreakerState]] = []
        self.refused: list[int] = []
        self.pauses: list[int] = []
        self.outcomes = ""
        monkeypatch.setattr(channel_health, "breaker_changed", lambda pk, state, **_: self.breakers.append((pk, state)))
        monkeypatch.setattr(channel_health, "account_refused", lambda pk, _: self.refused.append(pk))
        monkeypatch.setattr(channel_health, "paused", lambda pk, _: self.pauses.append(pk))
        monkeypatch.setattr(watched.notes, "add", lambda note: note())
        monkeypatch.setattr(watched.notes, "outcome", self._count)

    def _count(self, _: int, outcome: str) -> None:
        self.outcomes += outcome


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def watched(clock: Clock) -> Health:
    return Health(clock)


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch, watched: Health) -> Seen:
    return Seen(monkeypatch, watched)


def channel(channel_id: int, **changes: Any) -> Route:
    values: dict[str, Any] = {
        "channel_id": channel_id,
        "type": 1,
        "provider": PROVIDERS[1],
        "name": f"channel {channel_id}",
        "key": "sk-1",
        "base_url": "http://127.0.0.1:1",
        "enabled": True,
        "model_mapping": {},
        "config": {},
        "system_prompt": "",
        "priority": 0,
        "weight": 0,
        "groups": frozenset({"default"}),
        "proxy": "",
        "refuses_stream_options": False,
    }
    return Route(**{**values, **changes})


ONE, TWO = channel(1), channel(2)


def answered(status: int, **error: Any) -> UpstreamError:
    return normalise(status, json.dumps({"error": {"message": "no", **error}}).encode(), None)


def plan(watched: Health, *routes: Route) -> Plan:
    made = Plan.__new__(Plan)
    made._health, made._tried, made._named, made._tiers = watched, frozenset(), None, (Tier(0, routes),)
    made.retries = 0
    return made


def fail(watched: Health, which: Route, times: int = 5) -> None:
    for _ in range(times):
        watched.report(which, answered(500))


@pytest.mark.parametrize(
    ("error", "counts"),
    [
        (answered(500), True),
        (answered(529), True),
        (normalise(502, b"<html>", None), True),
        (UpstreamTimeout("late"), True),
        (UpstreamUnreachable("away"), True),
        (UpstreamError("x", code="stream_broken"), True),
        (UpstreamError("x", code="unmarshal_response_body_failed"), True),
        (answered(401, code="invalid_api_key"), True),
        (answered(429, type="insufficient_quota"), True),
        (answered(400), False),
        (answered(404), False),
        (answered(422), False),
        (answered(429), False),
        (answered(403), False),
        (UpstreamError("x", status=503, code="not_served"), False),
        (UpstreamError("x", status=400, code="unsupported_mode"), False),
        (UpstreamError("x", code="answer_too_large"), False),
    ],
)
def test_which_failures_are_the_upstreams_own(error: UpstreamError, counts: bool) -> None:
    assert health.failed(ONE, error) == counts


def test_five_in_a_row_open_it_and_one_call_probes(clock: Clock, watched: Health, seen: Seen) -> None:
    fail(watched, ONE, 4)
    assert watched.avoided() == frozenset()
    fail(watched, ONE, 1)
    assert watched.avoided() == {1}
    assert [plan(watched, ONE, TWO).next() for _ in range(20)] == [TWO] * 20

    clock.now += 10.1
    assert watched.avoided() == frozenset()
    assert plan(watched, ONE).next() is ONE  # the probe is under way
    assert watched.avoided() == {1}
    assert [plan(watched, ONE, TWO).next() for _ in range(20)] == [TWO] * 20

    watched.report(ONE, None)
    assert watched.avoided() == frozenset()
    assert seen.breakers == [(1, OPEN), (1, HALF_OPEN), (1, CLOSED)]


def test_each_failed_probe_doubles_the_time_up_to_ten_minutes(clock: Clock, watched: Health, seen: Seen) -> None:
    fail(watched, ONE)
    lasted = []
    for _ in range(9):
        lasted.append(round(watched.back_at(1) - clock.now))
        clock.now = watched.back_at(1) + 0.1
        watched.chosen(ONE)
        fail(watched, ONE, 1)

    assert lasted == [10, 20, 40, 80, 160, 320, 600, 600, 600]
    clock.now = watched.back_at(1) + 0.1
    watched.chosen(ONE)
    watched.report(ONE, None)
    fail(watched, ONE)
    assert round(watched.back_at(1) - clock.now) == 10


def test_a_success_in_between_or_a_minute_without_failures_starts_anew(
    clock: Clock, watched: Health, seen: Seen
) -> None:
    fail(watched, ONE, 4)
    watched.report(ONE, None)
    fail(watched, ONE, 4)
    clock.now += 61
    fail(watched, ONE, 4)

    assert watched.avoided() == frozenset()
    assert seen.breakers == []


def test_a_probe_that_tells_nothing_is_followed_by_another(clock: Clock, watched: Health, seen: Seen) -> None:
    fail(watched, ONE)
    clock.now += 11
    watched.chosen(ONE)
    clock.now += 29
    assert watched.avoided() == {1}
    clock.now += 2
    assert watched.avoided() == frozenset()
    assert seen.breakers == [(1, OPEN), (1, HALF_OPEN)]


def test_where_all_are_open_the_least_bad_is_tried(clock: Clock, watched: Health, seen: Seen) -> None:
    fail(watched, ONE)
    clock.now += 3
    fail(watched, TWO)

    tried = plan(watched, ONE, TWO)

    assert [tried.next(), tried.next(), tried.next()] == [ONE, TWO, None]


def test_a_call_that_had_no_other_choice_closes_it_or_leaves_it_as_it_is(
    clock: Clock, watched: Health, seen: Seen
) -> None:
    fail(watched, ONE)
    until = watched.back_at(1)
    fail(watched, ONE, 3)
    assert watched.back_at(1) == until

    watched.report(ONE, None)

    assert watched.avoided() == frozenset()


def test_pauses_and_breakers_are_avoided_alike(clock: Clock, watched: Health, seen: Seen) -> None:
    watched.pause(2, 7)
    fail(watched, ONE)
    assert watched.avoided() == {1, 2}
    assert plan(watched, ONE, TWO).next() is TWO
    clock.now += 8
    assert watched.avoided() == {1}


def test_what_another_worker_avoids_is_avoided_until_its_time_is_up(clock: Clock, watched: Health, seen: Seen) -> None:
    watched.hear({2: time.time() + 10})

    assert watched.avoided() == {2}
    assert plan(watched, TWO, ONE).next() is ONE
    clock.now += 11
    assert watched.avoided() == frozenset()


def test_what_another_worker_avoids_is_back_as_soon_as_it_says_so(watched: Health, seen: Seen) -> None:
    watched.hear({1: time.time() + 600, 2: time.time() + 600})
    assert watched.avoided() == {1, 2}
    watched.report(TWO, None)
    assert watched.avoided() == {1}
    watched.hear({})
    assert watched.avoided() == frozenset()


def test_a_workers_own_breaker_decides_when_to_probe(clock: Clock, watched: Health, seen: Seen) -> None:
    fail(watched, ONE)
    watched.hear({1: time.time() + 600})
    clock.now += 10.5

    assert watched.avoided() == frozenset()


def test_others_are_told_of_a_pause_and_not_of_every_answer_that_asks_for_it(
    clock: Clock, watched: Health, seen: Seen
) -> None:
    for _ in range(50):
        watched.pause(1, 7)
    clock.now += 3
    watched.pause(1, 7)

    assert seen.pauses == [1, 1]


def test_a_changed_channel_is_given_another_chance(watched: Health, seen: Seen) -> None:
    three, four = channel(3), channel(4)
    for each in (ONE, TWO, three, four):
        fail(watched, each)
    snapshot: Any = SimpleNamespace(channels={1: channel(1), 2: channel(2, key="sk-2"), 3: channel(3, enabled=False)})

    watched.follow(snapshot)

    assert watched.avoided() == {1}
    assert seen.breakers[4:] == [(2, CLOSED), (3, CLOSED), (4, CLOSED)]


def test_a_burst_of_refusals_is_told_once(clock: Clock, watched: Health, seen: Seen) -> None:
    for _ in range(50):
        watched.report(ONE, answered(401, code="invalid_api_key"))
    clock.now += 2
    watched.report(ONE, answered(401, code="invalid_api_key"))

    assert seen.refused == [1, 1]


def test_outcomes_are_counted_only_where_that_is_switched_on(watched: Health, seen: Seen, settings) -> None:
    watched.report(ONE, None)
    fail(watched, ONE, 1)
    assert seen.outcomes == ""
    settings.ENABLE_METRIC = True
    watched.report(ONE, None)
    watched.report(ONE, answered(400))
    watched.report(ONE, answered(429))
    fail(watched, ONE, 1)
    assert seen.outcomes == "10"


def test_a_healthy_channel_costs_nothing(watched: Health, seen: Seen) -> None:
    watched.report(ONE, None)
    watched.chosen(ONE)
    assert watched.avoided() == frozenset()
    assert (watched._breakers, watched._paused, seen.breakers) == ({}, {}, [])
