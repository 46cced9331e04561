"""Sums of usage: what is added to them, once, in the settlement's own transaction, whoever writes beside it."""

from __future__ import annotations

import time
from collections import Counter
from functools import partial
from types import SimpleNamespace
from typing import Any

import pytest
from django.db import OperationalError

from billing import batch
from billing.batch import Failure, Settlement, post
from billing.batch.rollups import MOST_TOKENS
from billing.models import Log, UsageDay, UsageHour
from tests.billing.money import TRANSACTIONS, channel, hold, in_threads, key_of, new_id, person, settlement

pytestmark = [TRANSACTIONS, pytest.mark.usefixtures("in_order")]

MOMENT, HOUR, DAY = 1_700_000_000, 1_699_999_200, 1_699_920_000  # 22:13:20, 22:00 and 0:00 UTC, 2023-11-14


@pytest.fixture
def at(monkeypatch) -> Any:
    """The books' clock."""

    def set_to(moment: int) -> None:
        monkeypatch.setattr("billing.batch.posting.time", SimpleNamespace(time=lambda: float(moment)))

    set_to(MOMENT)
    return set_to


def told(**fields: Any) -> dict[str, Any]:
    usual = {"model_name": "gpt", "group": "vip", "prompt_tokens": 10, "completion_tokens": 5, "elapsed_time": 100}
    return {**usual, **fields}


def used(token: Any, charge: int, **fields: Any) -> list[Any]:
    one = hold(token, max(charge, 1), channel_id=fields.pop("channel_id", 3))
    return [one, settlement(one, charge, log=told(**fields))]


def sums(model: Any = UsageHour) -> list[tuple[Any, ...]]:
    start = "hour" if model is UsageHour else "day"
    return list(
        model.objects.order_by("pk").values_list(
            start, "user_id", "token_id", "channel_id", "model_name", "group", "requests", "errors", "prompt_tokens",
            "completion_tokens", "cached_tokens", "quota", "elapsed",
        )
    )  # fmt: skip


def test_calls_of_one_kind_are_one_row_of_their_hour_and_of_their_day(at):
    user = person(1_000)
    token = key_of(user)

    post([*used(token, 7, cached_tokens=4), *used(token, 5)])
    post(used(token, 3, error_code="broke"))

    row = (user.pk, token.pk, 3, "gpt", "vip", 3, 1, 30, 15, 4, 15, 300)
    assert (sums(), sums(UsageDay)) == ([(HOUR, *row)], [(DAY, *row)])


def test_another_hour_is_another_row_of_the_same_day(at):
    token = key_of(person(1_000))

    post(used(token, 7))
    at(HOUR + 3600)
    post(used(token, 5))

    assert [(row[0], row[6], row[11]) for row in sums()] == [(HOUR, 1, 7), (HOUR + 3600, 1, 5)]
    assert [(row[0], row[6], row[11]) for row in sums(UsageDay)] == [(DAY, 2, 12)]


@pytest.mark.parametrize("changed", [{"model_name": "o1"}, {"group": "default"}, {"channel_id": 4}])
def test_what_differs_in_one_thing_has_a_row_of_its_own(at, changed):
    token = key_of(person(1_000))

    post([*used(token, 7), *used(token, 5, **changed)])

    assert sorted(row[11] for row in sums()) == [5, 7]


def test_failures_are_requests_and_errors_and_cost_nothing(at):
    user = person(1_000)
    token = key_of(user)

    post(used(token, 7))
    post(
        [
            Failure(new_id(), user.pk, token.pk, 3, "gpt", log=told(elapsed_time=40), logged=logged)
            for logged in (True, False)
        ]
    )

    assert [row[6:] for row in sums()] == [(3, 2, 10, 5, 0, 7, 180)]


def test_a_release_is_no_usage(at):
    one = hold(key_of(person(100)), 10)
    post([one])

    post([settlement(one, None)])

    assert sums() == []


def test_what_is_uncollected_is_not_in_the_sums(at):
    token = key_of(person(10))
    one = hold(token, 10)
    post([one])

    post([settlement(one, 25, log=told())])

    assert (sums()[0][11], Log.objects.get().uncollected) == (10, 15)


def test_a_replay_adds_nothing(at):
    entries = used(key_of(person(1_000)), 7)
    post(entries)

    post(entries, again=True)

    assert [(row[6], row[11]) for row in sums()] == [(1, 7)]


def test_a_transaction_that_fails_adds_nothing(at, monkeypatch):
    token = key_of(person(1_000))
    lost = Settlement("x" * 300, token.user_id, token.pk, False, 5, log=told())  # an id no column holds
    monkeypatch.setattr(batch.settlements, "LEDGER_COLUMNS", (*batch.settlements.LEDGER_COLUMNS[:-1], "nonsense"))

    with pytest.raises(Exception, match="nonsense"):
        post([*used(token, 7), lost])

    assert sums() == []


def test_numbers_an_upstream_makes_up_stay_within_their_columns(at):
    token = key_of(person(1_000))

    for _ in range(3):
        post(used(token, 1, prompt_tokens=2**80, completion_tokens=2**63, cached_tokens=2**62))

    assert sums()[0][8:11] == (3 * MOST_TOKENS,) * 3


def test_many_kinds_at_once_are_many_rows(at):
    token = key_of(person(10_000))

    post([entry for i in range(150) for entry in used(token, 1, model_name=f"model-{i}")])
    post([entry for i in range(100, 200) for entry in used(token, 2, model_name=f"model-{i}")])

    assert Counter(row[11] for row in sums()) == {1: 100, 2: 50, 3: 50}


def test_workers_that_settle_calls_of_the_same_users_lose_none():
    """Four workers, the same users, tokens, channels and models in another order each time."""
    people = [person(10**6) for _ in range(3)]
    tokens = [key_of(one) for one in people]
    places = [channel().pk for _ in range(2)]

    def work(number: int) -> None:
        for turn in range(12):
            entries: list[Any] = []
            for i in range(6):
                n = number + turn * 5 + i * 7
                entries += used(tokens[n % 3], 3, model_name=f"model-{n % 4}", channel_id=places[n % 2])
                other = tokens[(n + 1) % 3]
                failed = Failure(new_id(), other.user_id, other.pk, places[n % 2], f"model-{n % 4}", log=told())
                entries.append(failed)
            _stubborn(entries)

    assert in_threads([partial(work, number) for number in range(4)]) == [None] * 4
    rows = sums()
    assert sum(row[11] for row in rows) == 4 * 12 * 6 * 3
    assert (sum(row[6] for row in rows), sum(row[7] for row in rows)) == (2 * 4 * 12 * 6, 4 * 12 * 6)
    assert Log.objects.count() == 2 * 4 * 12 * 6


def _stubborn(entries: list[Any]) -> None:
    """As the books do: what met a busy database is tried again."""
    again = False
    while True:
        try:
            post(entries, again=again)
            return
        except OperationalError:
            again = True
            time.sleep(0.01)
