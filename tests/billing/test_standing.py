"""A server that takes a statement and never answers does not hold the threads that every call needs."""

from __future__ import annotations

import errno
import os
import socket
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from django.db import OperationalError, connection, connections

from billing import standing
from billing.standing import Watch
from tests.billing.money import TRANSACTIONS, in_threads
from tests.settings import KIND

pytestmark = TRANSACTIONS

# PostgreSQL is asked to notice that nobody waits any more: the test's database has to be dropped.
SLEEP = {
    "postgres": ["SET client_connection_check_interval = 200", "SELECT pg_sleep(6)"],
    "mysql": ["SELECT SLEEP(6)"],
}


def on_a_thread_that_keeps(function: Callable[[], Any]) -> Any:
    def run() -> Any:
        standing.keep()
        return function()

    (result,) = in_threads([run])
    if isinstance(result, BaseException):
        raise result
    return result


@pytest.mark.skipif(KIND not in SLEEP, reason="SQLite has no server that could be silent")
def test_a_statement_that_is_never_answered_is_cut_and_the_next_one_goes_through(monkeypatch):
    monkeypatch.setattr(standing, "ANSWER", 1)

    def sleep() -> None:
        with standing.answered(), connection.cursor() as cursor:
            for statement in SLEEP[KIND]:
                cursor.execute(statement)

    def silent() -> int:
        with pytest.raises(OperationalError):
            sleep()
        connections.close_all()
        with standing.answered(), connection.cursor() as cursor:
            cursor.execute("SELECT 7")
            return int(cursor.fetchone()[0])

    assert on_a_thread_that_keeps(silent) == 7


def test_who_keeps_a_connection_takes_none_from_the_pool():
    def kept() -> tuple[bool, bool]:
        with standing.answered(), connection.cursor() as cursor:
            cursor.execute("SELECT 1")
        return "pool" in connection.settings_dict["OPTIONS"], getattr(connection, "pool", None) is not None

    assert on_a_thread_that_keeps(kept) == (False, False)
    assert ("pool" in connection.settings_dict["OPTIONS"]) == (KIND == "postgres")  # of this thread


def test_only_what_is_late_is_cut():
    watch = Watch()
    pairs = [socket.socketpair() for _ in range(2)]
    now = time.monotonic()
    for thread, (until, (ours, _)) in enumerate(zip((now - 1, now + 60), pairs, strict=True)):
        watch.enter(thread, until, ours)
    watch.cut_late(now)
    late, early = (theirs for _, theirs in pairs)
    late.settimeout(2)
    early.settimeout(0.05)

    assert late.recv(1) == b""
    with pytest.raises(TimeoutError):
        early.recv(1)
    for thread, (_, theirs) in enumerate(pairs):
        watch.leave(thread)
        theirs.close()


def no_more(*arguments: object, **named: object) -> None:
    raise OSError(errno.EMFILE, "Too many open files")


@pytest.mark.skipif(KIND != "postgres", reason="only PostgreSQL's connections are watched")
@pytest.mark.parametrize(("module", "name"), [(os, "dup"), (socket, "socket")])
def test_no_more_descriptors_are_a_database_that_is_away(monkeypatch, module, name):
    def look() -> None:
        connection.ensure_connection()
        before = len(os.listdir("/proc/self/fd"))
        with monkeypatch.context() as patched:
            patched.setattr(module, name, no_more)
            with pytest.raises(OperationalError, match="Too many open files"), standing.answered():
                pytest.fail("nothing may be asked unwatched")
        assert len(os.listdir("/proc/self/fd")) <= before
        with standing.answered(), connection.cursor() as cursor:
            cursor.execute("SELECT 1")

    on_a_thread_that_keeps(look)


def test_what_the_system_refuses_under_a_statement_is_a_database_that_is_away():
    """The driver opens a descriptor to wait with, say, and has no error of its own for that."""

    def look() -> None:
        with pytest.raises(OperationalError, match="Too many open files"), standing.answered():
            no_more()

    on_a_thread_that_keeps(look)


def test_no_more_threads_leave_nothing_behind(monkeypatch):
    def start(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    ours, theirs = socket.socketpair()
    watch = Watch()
    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", start)
        with pytest.raises(OSError, match="can't start new thread"):
            watch.enter(1, time.monotonic(), ours)

    assert ours.fileno() == -1
    watch.cut_late(time.monotonic() + 60)
    watch.enter(1, time.monotonic() + 60, theirs)
    watch.leave(1)
    assert theirs.fileno() == -1
