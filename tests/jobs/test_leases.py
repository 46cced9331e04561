"""A lease has one holder, whoever asks, and is free again when its holder gave it back or died."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import pytest
from django.db import connection, connections

from jobs import leases
from jobs.models import Lease

pytestmark = pytest.mark.django_db


def test_the_second_to_ask_gets_nothing_until_the_first_gives_it_back():
    first = leases.acquire("sweep", 30)

    assert first is not None
    assert leases.acquire("sweep", 30) is None
    assert leases.acquire("another", 30) is not None
    assert leases.release(first)
    assert leases.acquire("sweep", 30) is not None


def test_a_lease_whose_time_is_up_is_lost():
    first = leases.acquire("sweep", 0)
    assert first is not None
    second = leases.acquire("sweep", 30)

    assert second is not None
    assert not leases.renew(first, 30)
    assert not leases.report(first, {"done": 1})
    assert not leases.finish(first, "ok")
    assert not leases.release(first)
    assert leases.state("sweep").running
    assert leases.renew(second, 30)


def test_what_was_seen_due_is_not_begun_twice():
    begun = leases.acquire("sweep", 30, if_started=0)
    assert begun is not None
    leases.start(begun)
    leases.finish(begun, "ok")

    assert leases.acquire("sweep", 30, if_started=0) is None
    assert leases.acquire("sweep", 30, if_started=leases.state("sweep").started) is not None


def test_start_report_and_finish_are_written_down():
    held = leases.acquire("sweep", 30)
    assert held is not None
    leases.start(held)
    leases.report(held, {"done": 3})
    state = leases.state("sweep")
    assert (state.running, state.outcome, state.detail, state.finished) == (True, "", {"done": 3}, 0)
    assert state.started > 0

    leases.finish(held, "failed: " + "x" * 500)

    state = leases.state("sweep")
    assert (state.running, state.outcome, state.detail) == (False, "failed: " + "x" * 192, {"done": 3})
    assert state.finished >= state.started


def test_of_a_name_nobody_took_nothing_is_known():
    assert leases.state("never") == leases.State("never", False, 0, 0, 0, "", {})
    assert not Lease.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_of_sixteen_at_once_one_wins():
    leases.ensure(["sweep"])

    def ask(_: int) -> bool:
        try:
            return leases.acquire("sweep", 30) is not None
        finally:
            connections.close_all()

    with ThreadPoolExecutor(16) as threads:
        won = list(threads.map(ask, range(16)))

    assert won.count(True) == 1


def test_moments_are_those_of_the_database_server(monkeypatch):
    if connection.vendor == "sqlite":
        pytest.skip("the file is on this machine")
    before = leases.now()
    monkeypatch.setattr(leases, "time", SimpleNamespace(time=lambda: 5.0))  # a node whose clock is wrong

    held = leases.acquire("sweep", 30)
    assert held is not None
    leases.start(held)

    state = leases.state("sweep")
    assert state.running
    assert before <= state.first_seen <= state.started
    assert leases.acquire("sweep", 30) is None


def test_a_dead_holder_whose_clock_was_ahead_loses_its_lease(monkeypatch):
    right = leases.now
    with monkeypatch.context() as ahead:
        ahead.setattr(leases, "now", lambda: right() + 3600)
        dead = leases.acquire("sweep", 30)
        assert leases.state("sweep").running
    assert dead is not None

    assert not leases.state("sweep").running
    assert leases.acquire("sweep", 30) is not None
    assert not leases.renew(dead, 30)
