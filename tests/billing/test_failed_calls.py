"""Failures in the books: a line each and nothing else, once, and in nobody's way."""

from __future__ import annotations

import asyncio

import pytest
from django.db import OperationalError

from billing import batch, books
from billing.batch import Failure, Outcome, Verdict, post
from billing.models import LedgerEntry, Log, LogType
from tests.billing.money import TRANSACTIONS, everything, hold, key_of, new_id, person, quota, settlement
from tests.billing.test_books import aside, eventually, opened

pytestmark = [TRANSACTIONS, pytest.mark.usefixtures("in_order")]


def failure(user_id: int = 1, token_id: int = 1, **fields: object) -> Failure:
    told = {"content": "no", "status": 503, "error_code": "no_channel", "username": "alice"}
    return Failure(new_id(), user_id, token_id, log=told, **fields)  # type: ignore[arg-type]


def lines() -> list[tuple[object, ...]]:
    rows = Log.objects.filter(type=LogType.ERROR).order_by("pk")
    return list(rows.values_list("request_id", "quota", "status", "error_code", "content"))


def test_a_failure_leaves_a_line_and_moves_nothing():
    user = person(100)
    key_of(user)
    before = {name: rows for name, rows in everything().items() if name != "logs"}
    one = failure(user.pk)

    assert post([one]) == [Outcome(Verdict.GRANTED)]

    assert lines() == [(one.request_id, 0, 503, "no_channel", "no")]
    assert {name: rows for name, rows in everything().items() if name != "logs"} == before


def test_one_that_is_only_counted_leaves_none():
    post([failure(logged=False)])

    assert lines() == []


def test_failures_and_calls_share_a_transaction():
    user = person(100)
    call = hold(key_of(user), 10)

    post([failure(user.pk), call, settlement(call, 7), failure(user.pk)])

    assert (len(lines()), quota(user), LedgerEntry.objects.filter(kind="charge").count()) == (2, 93, 1)


def test_an_attempt_repeated_after_its_commit_writes_no_second_line():
    one = failure()
    post([one])

    post([one, failure(logged=False)], again=True)

    assert len(lines()) == 1


async def test_nobody_waits_and_what_is_waiting_is_written_at_the_end():
    async with opened() as ledger:
        assert ledger.note(failure())

    assert len(await aside(lines)) == 1


async def test_books_far_behind_lose_failures_and_not_calls(monkeypatch, settings):
    settings.HOLD_WAIT = 1
    monkeypatch.setattr(books, "MOST_NOTED", 3)
    away = True

    def post_or_not(entries, **how):
        if away:
            raise OperationalError("the database is away")
        return batch.posting.post(entries, **how)

    monkeypatch.setattr(batch, "post", post_or_not)
    user = await aside(person, 100)
    call = hold(await aside(key_of, user), 10)
    async with opened() as ledger:
        assert [ledger.note(failure()) for _ in range(5)] == [True, True, True, False, False]
        held = asyncio.create_task(ledger.post(call))
        await asyncio.sleep(0.1)
        away = False
        assert (await held).verdict is Verdict.GRANTED
        await ledger.post(settlement(call, 7))
        await eventually(lambda: len(lines()) == 3, 5)
        assert ledger.note(failure())

    assert (len(await aside(lines)), await aside(quota, user)) == (4, 93)


async def test_a_failure_that_cannot_be_written_is_given_up_quietly(monkeypatch, caplog):
    monkeypatch.setattr("billing.waiting.HOLD_PATIENCE", 0.1)

    def away(entries, **how):
        raise OperationalError("the database is away")

    monkeypatch.setattr(batch, "post", away)
    async with opened() as ledger:
        ledger.note(failure())
        await asyncio.sleep(0.4)
        assert ledger._noted == 0

    assert "never retrieved" not in caplog.text
