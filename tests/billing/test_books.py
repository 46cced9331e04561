"""Group commit for many coroutines: who waits, who is refused, what survives cancelling, poison and outages."""

from __future__ import annotations

import asyncio
import errno
import itertools
import threading
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, closing
from typing import Any

import pytest
from django.db import OperationalError, connections

from accounts.models import Token, User, UserStatus
from billing import batch, bookkeeper, books, standing
from billing.batch import Failure, Hold, Outcome, Verdict
from billing.bookkeeper import Bookkeeper
from billing.books import Books
from billing.models import EntryKind, Log
from billing.models import Hold as HoldRow
from billing.services import credit
from billing.waiting import BooksClosed
from tests.billing.money import (
    TRANSACTIONS,
    channel,
    charges,
    expired,
    forget_connections,
    hold,
    in_threads,
    key_of,
    now_holds,
    person,
    progress,
    quota,
    settlement,
    this_database,
)
from tests.settings import KIND

pytestmark = [TRANSACTIONS, pytest.mark.usefixtures("in_order"), pytest.mark.timeout(60)]


async def aside(function: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
    """Blocking work on the database, on a thread that keeps no connection."""

    def run() -> Any:
        try:
            return function(*arguments, **named)
        finally:
            connections.close_all()

    return await asyncio.to_thread(run)


@asynccontextmanager
async def opened() -> AsyncIterator[Books]:
    one = Books()
    one.start()
    try:
        yield one
    finally:
        await asyncio.wait_for(one.stop(), 30)


async def eventually(condition: Callable[[], bool], seconds: float) -> None:
    """Wait until a question to the database is answered with yes."""
    end = time.monotonic() + seconds
    while not await aside(condition):
        assert time.monotonic() < end, f"not within {seconds} s"
        await asyncio.sleep(0.05)


async def call(ledger: Books, token: Token, charge: int, *, stream: bool = False, channel_id: int = 0) -> Hold | None:
    """One call as the relay makes it; None where the hold was refused."""
    one = hold(token, charge + 5, worker=ledger.worker, channel_id=channel_id)
    if (await ledger.post(one)).verdict is not Verdict.GRANTED:
        return None
    if stream:
        await ledger.post(progress(one, charge + 20, charge=charge // 2))
    outcome = await ledger.post(settlement(one, charge))
    assert (outcome.amount, outcome.uncollected) == (charge, 0)
    return one


async def test_many_calls_at_once_are_all_in_the_books():
    people = [await aside(person, 10**6) for _ in range(5)]
    tokens = [await aside(key_of, user, 10**5 if i % 2 else None) for i, user in enumerate(people)]
    place = await aside(channel)

    async with opened() as ledger:
        calls = await asyncio.gather(
            *(call(ledger, tokens[i % 5], 7, stream=i % 3 == 0, channel_id=place.pk) for i in range(300))
        )

    assert await aside(charges) == {one.request_id: 7 for one in calls if one}
    assert len(await aside(charges)) == 300


async def test_holds_are_granted_only_as_far_as_the_balance_goes(settings):
    settings.HOLD_WAIT = 1
    user = await aside(person, 400)
    token = await aside(key_of, user)
    async with opened() as ledger:
        holds = [hold(token, 10, worker=ledger.worker) for _ in range(100)]
        outcomes = await asyncio.wait_for(asyncio.gather(*(ledger.post(one) for one in holds)), 10)
        granted = [one for one, outcome in zip(holds, outcomes, strict=True) if outcome.verdict is Verdict.GRANTED]
        assert len(granted) == 40
        await asyncio.gather(*(ledger.post(settlement(one, 10)) for one in granted))
    assert await aside(quota, user) == 0


async def test_who_leaves_while_waiting_is_written_all_the_same():
    user = await aside(person, 1_000)
    token = await aside(key_of, user)
    async with opened() as ledger:
        held = [hold(token, 10, worker=ledger.worker) for _ in range(20)]
        await asyncio.gather(*(ledger.post(one) for one in held))
        leaving = [asyncio.create_task(ledger.post(settlement(one, 8))) for one in held]
        await asyncio.sleep(0)
        for task in leaving:
            task.cancel()
        ended = await asyncio.gather(*leaving, return_exceptions=True)
        assert all(isinstance(one, asyncio.CancelledError) for one in ended)

    assert await aside(quota, user) == 1_000 - 160
    assert not await aside(HoldRow.objects.exists)


async def test_a_hold_waits_for_the_settlement_that_makes_room(settings):
    settings.HOLD_WAIT = 10
    token = await aside(key_of, await aside(person, 100))
    async with opened() as ledger:
        first, second = (hold(token, 80, worker=ledger.worker) for _ in range(2))
        await ledger.post(first)
        waiting = asyncio.create_task(ledger.post(second))
        await asyncio.sleep(0.3)
        assert not waiting.done()

        await ledger.post(settlement(first, 5))

        assert await asyncio.wait_for(waiting, 2) == Outcome(Verdict.GRANTED, 80)
        await ledger.post(settlement(second, None))


async def test_a_hold_waits_for_a_credit_from_elsewhere(settings):
    settings.HOLD_WAIT = 10
    user = await aside(person, 100)
    token = await aside(key_of, user)
    async with opened() as ledger:
        first, second = (hold(token, 80, worker=ledger.worker) for _ in range(2))
        await ledger.post(first)
        waiting = asyncio.create_task(ledger.post(second))

        await aside(credit, user.pk, 100, kind=EntryKind.TOP_UP)

        assert (await asyncio.wait_for(waiting, 2)).verdict is Verdict.GRANTED
        await asyncio.gather(*(ledger.post(settlement(one, None)) for one in (first, second)))


async def test_a_hold_that_finds_no_room_is_refused_after_its_time(settings):
    settings.HOLD_WAIT = 1
    token = await aside(key_of, await aside(person, 100))
    async with opened() as ledger:
        first = hold(token, 80, worker=ledger.worker)
        await ledger.post(first)
        began = time.monotonic()

        outcome = await ledger.post(hold(token, 80, worker=ledger.worker))

        assert outcome.verdict is Verdict.USER_SHORT
        assert 0.9 < time.monotonic() - began < 3
        await ledger.post(settlement(first, None))


async def test_who_waits_does_not_keep_others_waiting(settings):
    settings.HOLD_WAIT = 10
    poor = await aside(key_of, await aside(person, 100))
    rich = await aside(key_of, await aside(person, 10**6))
    async with opened() as ledger:
        first = hold(poor, 80, worker=ledger.worker)
        await ledger.post(first)
        waiting = [asyncio.create_task(ledger.post(hold(poor, 80, least=80, worker=ledger.worker))) for _ in range(50)]
        await asyncio.sleep(0.1)

        began = time.monotonic()
        for _ in range(10):
            await call(ledger, rich, 7)
        assert time.monotonic() - began < 3

        await ledger.post(settlement(first, 80))  # of the 20 that are left, none of the 50 can live
        outcomes = await asyncio.wait_for(asyncio.gather(*waiting), 5)
        assert {one.verdict for one in outcomes} == {Verdict.USER_SHORT}


async def test_a_disabled_user_is_refused_at_once():
    user = await aside(person, 100)
    token = await aside(key_of, user)
    await aside(User.objects.filter(pk=user.pk).update, status=UserStatus.DISABLED)
    async with opened() as ledger:
        outcome = await asyncio.wait_for(ledger.post(hold(token, 10, worker=ledger.worker)), 2)

    assert outcome.verdict is Verdict.USER_GONE


# --- poison

POISONS: dict[str, dict[str, Any]] = {
    "text too long": {"log": {"model_name": "m" * 192}},
    "text with a zero": {"log": {"content": "\0"}},
    "tokens beyond 64 bits": {"log": {"prompt_tokens": 2**63}},
    "charge beyond 64 bits": {"charge": 2**63},
    "charge far beyond": {"charge": 10**40},
    "text no encoding knows": {"log": {"content": "\ud800"}},
}


@pytest.mark.parametrize("poison", POISONS)
async def test_poison_fails_alone(poison):
    """The entry may be refused or, where the database swallows it, written; all others are written, now and later."""
    user = await aside(person, 10_000)
    token = await aside(key_of, user)
    async with opened() as ledger:
        held = [hold(token, 10, worker=ledger.worker) for _ in range(21)]
        await asyncio.gather(*(ledger.post(one) for one in held))

        futures = [ledger.submit(settlement(one, 4)) for one in held[:10]]
        bad = ledger.submit(settlement(held[20], **{"charge": 4, **POISONS[poison]}))
        futures += [ledger.submit(settlement(one, 4)) for one in held[10:20]]

        await asyncio.wait_for(asyncio.wait([bad]), 10)
        await asyncio.wait_for(asyncio.gather(*futures), 10)
        if not bad.done():
            pytest.fail("the poisoned entry is tried for ever")
        if bad.exception() is None:
            assert (await bad).verdict is Verdict.GRANTED
        else:
            assert isinstance(bad.exception(), BooksClosed)
            await ledger.post(settlement(held[20], None))
        assert (await asyncio.wait_for(ledger.post(hold(token, 0, worker=ledger.worker)), 5)).verdict is Verdict.GRANTED

    settled = await aside(charges)
    assert {one.request_id for one in held[:20]} <= settled.keys()


async def test_one_user_with_a_wrong_row_stops_nobody_else():
    """Somebody has set by hand what a user holds, to less than an open call holds: the database refuses to go below 0.

    Every database says so in its own way, and MySQL as if it were away.
    """
    wrong, right = await aside(person, 1_000), await aside(person, 1_000)
    tokens = [await aside(key_of, user) for user in (wrong, right)]
    async with opened() as ledger:
        refused, taken = (hold(token, 100, worker=ledger.worker) for token in tokens)
        await asyncio.gather(ledger.post(refused), ledger.post(taken))
        await aside(User.objects.filter(pk=wrong.pk).update, held=0)

        ends = [ledger.submit(settlement(one, 5)) for one in (refused, taken)]
        assert (await asyncio.wait_for(ends[1], 10)).amount == 5
        with pytest.raises(BooksClosed, match="IntegrityError"):
            await asyncio.wait_for(ends[0], 10)

        await aside(User.objects.filter(pk=wrong.pk).update, held=100)
        await ledger.post(settlement(refused, 5))


@pytest.mark.parametrize("amount", [2**63, 10**30])
async def test_a_hold_of_an_absurd_amount_harms_nobody(amount):
    token = await aside(key_of, await aside(person, 10_000))
    async with opened() as ledger:
        absurd = ledger.submit(hold(token, amount, worker=ledger.worker))
        assert await asyncio.wait_for(call(ledger, token, 7), 5)
        await asyncio.wait([absurd], timeout=5)
        assert absurd.done()
        if absurd.exception() is None:
            assert (await absurd).verdict is Verdict.USER_SHORT


async def test_a_settlement_given_up_does_not_hold_the_money_for_ever(settings):
    """The worker lives and keeps its holds alive; this one has nobody any more, so it must be let go in time (I5)."""
    settings.HOLD_TTL = 2
    user = await aside(person, 10_000)
    token = await aside(key_of, user)
    async with opened() as ledger:
        one = hold(token, 100, worker=ledger.worker)
        await ledger.post(one)
        refused = settlement(one, 50, log={"created_at": 0, "elapsed_time": None})  # a column that is never empty
        with pytest.raises(BooksClosed):
            await asyncio.wait_for(ledger.post(refused), 5)

        await eventually(lambda: now_holds(user) == 0, 6)


async def test_a_hold_given_up_after_its_commit_does_not_hold_the_money_for_ever(settings, monkeypatch):
    """The answer to the commit is lost and the database stays away until the caller has been told that it failed."""
    settings.HOLD_TTL = 2
    monkeypatch.setattr("billing.waiting.HOLD_PATIENCE", 0.3)
    user = await aside(person, 10_000)
    token = await aside(key_of, user)
    away = threading.Event()
    away.set()
    real = batch.post

    def lossy(entries, *, again=False):
        if again and away.is_set():
            raise OperationalError("server closed the connection unexpectedly")
        outcomes = real(entries, again=again)
        if away.is_set():
            raise OperationalError("server closed the connection unexpectedly")
        return outcomes

    monkeypatch.setattr(batch, "post", lossy)
    async with opened() as ledger:
        with pytest.raises(BooksClosed):
            await asyncio.wait_for(ledger.post(hold(token, 100, worker=ledger.worker)), 5)
        away.clear()

        await eventually(lambda: now_holds(user) == 0, 6)


# --- outages


async def test_an_answer_lost_after_the_commit_bills_nobody_twice(monkeypatch):
    users = [await aside(person, 10_000) for _ in range(3)]
    tokens = [await aside(key_of, user, 5_000 if i else None) for i, user in enumerate(users)]
    real = batch.post
    posts = itertools.count(1)

    def lossy(entries, *, again=False):
        number = next(posts)
        if number % 5 == 0:
            raise OperationalError("server closed the connection unexpectedly")
        outcomes = real(entries, again=again)
        if number % 2:
            raise OperationalError("server closed the connection unexpectedly")
        return outcomes

    monkeypatch.setattr(batch, "post", lossy)
    async with opened() as ledger:
        calls = await asyncio.gather(*(call(ledger, tokens[i % 3], 7, stream=i % 2 == 0) for i in range(60)))

    assert next(posts) > 3
    assert await aside(charges) == {one.request_id: 7 for one in calls if one}
    assert [await aside(quota, user) for user in users] == [10_000 - 140] * 3


def _cut_connections() -> int:
    """End every connection to the tests' database but our own; on SQLite, keep the one lock for a while."""
    database = this_database()
    if KIND == "sqlite":
        import sqlite3

        with closing(sqlite3.connect(database.name, isolation_level=None)) as writer:
            writer.execute("PRAGMA busy_timeout = 5000")
            writer.execute("BEGIN IMMEDIATE")
            time.sleep(0.4)
            writer.execute("COMMIT")
        return 1
    with closing(database.connect()) as direct, closing(direct.cursor()) as cursor:
        if KIND == "postgres":
            cursor.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
            return len(cursor.fetchall())
        cursor.execute("SELECT id FROM information_schema.processlist WHERE db = DATABASE() AND id <> CONNECTION_ID()")
        ids = [row[0] for row in cursor.fetchall()]
        for one in ids:
            try:
                cursor.execute(f"KILL {one:d}")
            except Exception as error:
                if error.args[0] != 1094:
                    raise
        return len(ids)


async def test_a_database_that_breaks_all_connections_in_the_midst_of_traffic_costs_nothing():
    users = [await aside(person, 10**6) for _ in range(3)]
    tokens = [await aside(key_of, user, 10**5 if i else None) for i, user in enumerate(users)]
    done: list[Hold] = []
    stop = asyncio.Event()

    async def caller(number: int) -> None:
        while not stop.is_set():
            one = await call(ledger, tokens[number % 3], 7, stream=number % 2 == 0)
            if one:
                done.append(one)

    async with opened() as ledger:
        callers = [asyncio.create_task(caller(i)) for i in range(30)]
        cut = 0
        for _ in range(100):
            await asyncio.sleep(0.15)
            cut += await asyncio.to_thread(_cut_connections)
            if cut >= 5 and len(done) > 30:
                break
        stop.set()
        await asyncio.wait_for(asyncio.gather(*callers), 30)

    assert cut >= 5, "the cuts met nothing"
    await aside(forget_connections)
    assert await aside(charges) == {one.request_id: 7 for one in done}
    assert len(done) > 30
    assert not await aside(HoldRow.objects.exists)


@pytest.mark.skipif(KIND != "postgres", reason="only PostgreSQL's connections are pooled")
async def test_a_pool_of_dead_connections_does_not_use_up_a_holds_patience():
    token = await aside(key_of, await aside(person, 10_000))
    async with opened() as ledger:
        await call(ledger, token, 7)
        together = threading.Barrier(15)

        def look() -> None:
            User.objects.count()
            together.wait(10)

        await asyncio.to_thread(in_threads, [look] * 15)  # leaves 15 connections in the pool
        assert await asyncio.to_thread(_cut_connections) >= 15

        began = time.monotonic()
        await call(ledger, token, 7)
        assert time.monotonic() - began < 3


async def test_a_database_away_too_long_refuses_holds(monkeypatch):
    monkeypatch.setattr("billing.waiting.HOLD_PATIENCE", 0.5)
    token = await aside(key_of, await aside(person, 10_000))

    def away(entries, *, again=False):
        raise OperationalError("could not connect to server")

    monkeypatch.setattr(batch, "post", away)
    async with opened() as ledger:
        began = time.monotonic()
        with pytest.raises(BooksClosed):
            await asyncio.wait_for(ledger.post(hold(token, 10, worker=ledger.worker)), 10)
        assert time.monotonic() - began < 3


async def test_a_settlement_that_was_busy_waits_for_the_database_as_long_as_any_other(settings, monkeypatch):
    """The call came with its hold, for which there was no room at first; it has been answered upstream."""
    settings.HOLD_WAIT = 30
    monkeypatch.setattr("billing.waiting.HOLD_PATIENCE", 0.3)
    monkeypatch.setattr(bookkeeper, "BUSY_PAUSE", 0.2)
    token = await aside(key_of, await aside(person, 100))
    real, busy, away = batch.post, threading.Event(), threading.Event()

    def post(entries, *, again=False):
        if away.is_set():
            raise OperationalError("could not connect to server")
        outcomes = real(entries, again=again)
        if not busy.is_set() and any(outcome.verdict is Verdict.BUSY for outcome in outcomes):
            away.set()
            busy.set()
        return outcomes

    monkeypatch.setattr(batch, "post", post)
    async with opened() as ledger:
        first, second = (hold(token, 80, worker=ledger.worker) for _ in range(2))
        await ledger.post(first)
        ledger.ahead(second)
        settled = ledger.submit(at_its_end(second, 5))
        assert await asyncio.to_thread(busy.wait, 10)
        await asyncio.sleep(1)
        away.clear()
        await ledger.post(settlement(first, 5))

        assert (await asyncio.wait_for(settled, 10)).amount == 5


async def test_a_moment_without_descriptors_costs_no_settlement(monkeypatch):
    """The driver has no error of its own for that, wherever it meets it."""
    user = await aside(person, 1_000)
    token = await aside(key_of, user)
    real, none_left = batch.post, threading.Event()

    def post(entries, *, again=False):
        if none_left.is_set():
            raise OSError(errno.EMFILE, "Too many open files")
        return real(entries, again=again)

    monkeypatch.setattr(batch, "post", post)
    async with opened() as ledger:
        one = hold(token, 10, worker=ledger.worker)
        await ledger.post(one)
        none_left.set()
        settled = ledger.submit(settlement(one, 7))
        await asyncio.sleep(0.5)
        assert not settled.done()
        none_left.clear()

        assert (await asyncio.wait_for(settled, 5)).amount == 7


UPKEEP_ENDS_IN = [OSError(errno.EMFILE, "Too many open files"), ValueError("a row nobody reckoned with")]


@pytest.mark.parametrize("error", UPKEEP_ENDS_IN, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("where", ["beat", "late", "endings"])
async def test_the_books_outlive_whatever_their_upkeep_ends_in(settings, monkeypatch, where, error):
    settings.HOLD_TTL = 2
    user = await aside(person, 1_000)
    token = await aside(key_of, user)
    dead = hold(token, 50, worker="a worker that died")
    await aside(batch.post, [dead])
    ended = threading.Event()

    def end(*arguments: Any) -> None:
        ended.set()
        raise error

    async with opened() as ledger:
        with monkeypatch.context() as patched:
            patched.setattr(batch, where, end)
            assert await asyncio.to_thread(ended.wait, 15)
        assert await asyncio.wait_for(call(ledger, token, 7), 5)
        await eventually(lambda: now_holds(user) == 0, 15)


async def test_the_books_outlive_connections_that_refuse_to_be_closed(monkeypatch):
    token = await aside(key_of, await aside(person, 1_000))
    real, lost = batch.post, threading.Event()

    def post(entries, *, again=False):
        if lost.is_set():
            raise OperationalError("server closed the connection unexpectedly")
        return real(entries, again=again)

    def refuse() -> None:
        lost.clear()
        raise OSError(errno.EIO, "Input/output error")

    async with opened() as ledger:
        with monkeypatch.context() as patched:
            patched.setattr(batch, "post", post)
            patched.setattr(standing, "drop_pools", refuse)
            lost.set()
            assert await asyncio.wait_for(call(ledger, token, 7), 5)
        assert not lost.is_set()


# --- stopping


async def test_what_waits_is_written_before_the_books_close():
    user = await aside(person, 10_000)
    token = await aside(key_of, user)
    ledger = Books()
    ledger.start()
    held = [hold(token, 10, worker=ledger.worker) for _ in range(600)]
    futures = [ledger.submit(one) for one in held]
    futures += [ledger.submit(settlement(one, 3)) for one in held]

    await asyncio.wait_for(ledger.stop(), 30)
    await asyncio.sleep(0)

    assert all(future.done() and future.exception() is None for future in futures)
    assert len(await aside(charges)) == 600
    assert not await aside(HoldRow.objects.exists)


async def test_a_hold_that_waits_for_room_does_not_keep_the_books_open(settings):
    settings.HOLD_WAIT = 60
    token = await aside(key_of, await aside(person, 100))
    ledger = Books()
    ledger.start()
    first = hold(token, 80, worker=ledger.worker)
    await ledger.post(first)
    waiting = ledger.submit(hold(token, 80, worker=ledger.worker))
    await asyncio.sleep(0.2)

    await asyncio.wait_for(ledger.stop(), 5)
    await asyncio.sleep(0)

    assert (await asyncio.wait_for(waiting, 2)).verdict is Verdict.USER_SHORT
    await aside(batch.post, [settlement(first, None)])


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
async def test_books_whose_thread_has_died_take_nothing_and_say_so(monkeypatch):
    token = await aside(key_of, await aside(person, 100))

    def die(keeper: Bookkeeper) -> None:
        raise SystemError("nothing that could be reckoned with")

    monkeypatch.setattr(Bookkeeper, "_upkeep", die)
    ledger = Books()
    assert not ledger.alive
    ledger.start()
    await asyncio.to_thread(ledger._keeper.join, 10)

    assert not ledger.alive
    assert not ledger.note(Failure(request_id="1", user_id=1, token_id=1))
    with pytest.raises(BooksClosed):
        ledger.submit(hold(token, 1))
    await ledger.stop()


async def test_nobody_hands_in_after_the_close():
    ledger = Books()
    ledger.start()
    await ledger.stop()
    token = await aside(key_of, await aside(person, 100))

    with pytest.raises(BooksClosed):
        ledger.submit(hold(token, 1))


async def test_whoever_hands_in_while_the_books_close_gets_an_answer():
    token = await aside(key_of, await aside(person, 10**6))
    for _ in range(10):
        ledger = Books()
        ledger.start()
        stopping = asyncio.create_task(ledger.stop())
        futures = []
        try:
            while not stopping.done():
                futures.append(ledger.submit(hold(token, 1, worker=ledger.worker)))
                await asyncio.sleep(0)
        except BooksClosed:
            pass
        await stopping
        await asyncio.sleep(0)
        if futures:
            await asyncio.wait_for(asyncio.wait(futures), 5)
        assert all(future.done() for future in futures)


# --- holds that are kept back for their settlement


def at_its_end(one: Hold, charge: int) -> Any:
    entry = settlement(one, charge)
    entry.hold = one
    return entry


async def test_a_quick_call_is_one_transaction_without_a_row_of_its_hold(monkeypatch):
    posted: list[list[Any]] = []
    post = batch.post

    def seen(entries: Any, **named: Any) -> list[Outcome]:
        posted.append(list(entries))
        return post(entries, **named)

    monkeypatch.setattr(batch, "post", seen)
    user = await aside(person, 1_000)
    one = hold(await aside(key_of, user, 900), 60)
    async with opened() as ledger:
        ledger.ahead(one)
        settled = await asyncio.wait_for(ledger.submit(end := at_its_end(one, 25)), 5)

    assert settled == Outcome(Verdict.GRANTED, 25)
    assert posted == [[one, end]]
    assert await aside(quota, user) == 975


async def test_a_hold_that_is_kept_back_is_written_in_time_and_at_once_when_it_is_waited_for(
    monkeypatch,
):
    user = await aside(person, 1_000)
    token = await aside(key_of, user)
    async with opened() as ledger:
        await asyncio.wait_for(ledger.ahead(hold(token, 10)), 5)
        await asyncio.wait_for(asyncio.gather(*(ledger.ahead(hold(token, 10)) for _ in range(3))), 5)
        monkeypatch.setattr(books, "AHEAD", 3600)
        waited_for = hold(token, 10)
        future = ledger.ahead(waited_for)
        ledger.hurry(waited_for.request_id)
        await asyncio.wait_for(future, 5)
        assert await aside(now_holds, user) == 50
    await aside(HoldRow.objects.update, expires_at=0)
    await aside(lambda: batch.post(expired()))


async def test_a_hold_that_was_kept_back_can_be_withdrawn_and_leaves_no_trace(monkeypatch):
    monkeypatch.setattr(books, "AHEAD", 3600)
    user = await aside(person, 1_000)
    token = await aside(key_of, user)
    async with opened() as ledger:
        one, written = hold(token, 10), hold(token, 20)
        future = ledger.ahead(one)
        assert ledger.withdraw(one.request_id)
        await ledger.post(written)
        assert not ledger.withdraw(written.request_id)
        assert not future.done()
        assert await aside(now_holds, user) == 20
        await ledger.post(settlement(written, None))


async def test_what_is_kept_back_is_written_before_the_books_close(monkeypatch):
    monkeypatch.setattr(books, "AHEAD", 3600)
    user = await aside(person, 1_000)
    one = hold(await aside(key_of, user), 10)
    ledger = Books()
    ledger.start()
    future = ledger.ahead(one)
    await asyncio.wait_for(ledger.stop(), 30)

    assert (await asyncio.wait_for(future, 2)).amount == 10
    assert await aside(now_holds, user) == 10
    await aside(batch.post, [settlement(one, None)])


# --- sweeping


async def test_the_living_keep_their_holds_and_the_dead_do_not(settings):
    settings.HOLD_TTL = 2
    user = await aside(person, 10_000)
    token = await aside(key_of, user, 9_000)
    dead = [hold(token, 100, worker="a worker that died", least=100) for _ in range(3)]
    await aside(batch.post, dead)
    await aside(batch.post, [progress(dead[0], 100, charge=42)])
    async with opened() as ledger, opened() as other:
        ours, theirs = hold(token, 500, worker=ledger.worker), hold(token, 500, worker=other.worker)
        await asyncio.gather(ledger.post(ours), other.post(theirs))

        await eventually(lambda: now_holds(user) == 1_000, 10)
        await asyncio.sleep(3)  # longer than a hold lives by itself

        assert await aside(now_holds, user) == 1_000
        await asyncio.gather(ledger.post(settlement(ours, 7)), other.post(settlement(theirs, 7)))
    assert await aside(charges) == {dead[0].request_id: 42, ours.request_id: 7, theirs.request_id: 7}
    assert (await aside(Log.objects.get, request_id=dead[0].request_id)).estimated


async def test_a_busy_worker_beats_too(settings):
    """Under load the books never rest; the holds of long calls are kept all the same."""
    settings.HOLD_TTL = 2
    user = await aside(person, 10**6)
    token = await aside(key_of, user)
    async with opened() as ledger, opened():
        long = hold(token, 500, worker=ledger.worker)
        await ledger.post(long)
        end = time.monotonic() + 4

        async def busy() -> None:
            while time.monotonic() < end:
                await call(ledger, token, 1)

        await asyncio.gather(*(busy() for _ in range(10)))
        assert await aside(HoldRow.objects.filter(pk=long.request_id).exists)
        await ledger.post(settlement(long, None))
