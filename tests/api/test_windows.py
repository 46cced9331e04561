"""The three places limits are counted in, against the same facts."""

from __future__ import annotations

import secrets
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
import redis
from django.db import connection

from api import redis_windows, windows
from api.models import RateWindow
from api.redis_windows import RedisWindows
from api.windows import DatabaseWindows, Limit, MemoryWindows, Windows
from config.redis import parse
from tests import databases


@pytest.fixture(params=["memory", "database", "redis"])
def counted(request: pytest.FixtureRequest, db: None) -> Windows:
    match request.param:
        case "memory":
            return MemoryWindows()
        case "database":
            return DatabaseWindows()
        case _:
            client = redis.Redis(socket_connect_timeout=1)
            try:
                client.ping()
            except redis.ConnectionError:
                databases.missing("Redis does not answer")
            return RedisWindows(lambda: client, MemoryWindows())


@pytest.fixture
def limit() -> Limit:
    return Limit(secrets.token_hex(4), 3, 60)


def test_the_fourth_of_three_is_refused(counted: Windows, limit: Limit) -> None:
    assert [counted.allows(limit, "one") for _ in range(5)] == [True, True, True, False, False]
    assert counted.allows(limit, "two")


def test_looking_does_not_count(counted: Windows, limit: Limit) -> None:
    assert all(counted.allows(limit, "one", count=False) for _ in range(5))
    for _ in range(3):
        counted.allows(limit, "one")
    assert not counted.allows(limit, "one", count=False)


def test_the_window_ends(counted: Windows, limit: Limit, monkeypatch: pytest.MonkeyPatch) -> None:
    for _ in range(3):
        counted.allows(limit, "one")
    moment, tick = time.time(), time.monotonic()

    class Later:
        time = staticmethod(lambda: moment + 61)
        monotonic = staticmethod(lambda: tick + 61)

    monkeypatch.setattr(windows, "time", Later)
    monkeypatch.setattr(redis_windows, "time", Later)
    assert counted.allows(limit, "one")


def test_idle_subjects_are_forgotten(limit: Limit, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(windows, "PRUNE_EVERY", 2)
    counted = MemoryWindows()
    short = Limit("short", 3, 0)

    for subject in range(10):
        counted.allows(short, str(subject))

    assert len(counted._hits) <= 2


@pytest.mark.parametrize(
    "garbage",
    [
        ("SET", "of another program"),
        ("HSET", "of", "another"),
        ("RPUSH", "2026-11-29T12:00:00", "2026-11-29T12:00:01", "2026-11-29T12:00:02"),
        ("RPUSH", *[9_999_999_999] * 3),
        ("RPUSH", "nonsense", "nonsense", time.time() - 30),
    ],
)
def test_what_stood_in_redis_before_neither_refuses_nor_fails(limit: Limit, garbage: tuple[str | float, ...]) -> None:
    client = redis.Redis(socket_connect_timeout=1)
    try:
        client.execute_command(garbage[0], f"rateLimit:{limit.key('one')}", *garbage[1:])
    except redis.ConnectionError:
        databases.missing("Redis does not answer")
    fallback = MemoryWindows()
    counted = RedisWindows(lambda: client, fallback)

    assert [counted.allows(limit, "one") for _ in range(2)] == [True, True]
    assert not fallback._hits


def test_a_wrong_password_for_redis_is_counted_elsewhere(limit: Limit) -> None:
    counted = RedisWindows(lambda: redis.Redis(password="wrong", socket_connect_timeout=1), MemoryWindows())

    assert [counted.allows(limit, "one") for _ in range(4)] == [True, True, True, False]


def test_redis_away_is_counted_elsewhere(limit: Limit) -> None:
    counted = RedisWindows(parse("redis://127.0.0.1:1", "", "").client, MemoryWindows())

    assert [counted.allows(limit, "one") for _ in range(4)] == [True, True, True, False]


@pytest.mark.django_db(transaction=True)
def test_of_twenty_at_once_three_are_counted(limit: Limit) -> None:
    def attempt(_number: int) -> bool:
        try:
            return DatabaseWindows().allows(limit, "one")
        finally:
            connection.close()

    with ThreadPoolExecutor(20) as pool:
        assert list(pool.map(attempt, range(20))).count(True) == 3
    assert RateWindow.objects.get().count == 3


@pytest.mark.django_db(transaction=True)
def test_nobody_is_refused_while_there_is_room_even_at_the_very_first_hit() -> None:
    roomy = Limit("roomy", 4, 60)

    def attempt(subject: str) -> bool:
        try:
            return DatabaseWindows().allows(roomy, subject)
        finally:
            connection.close()

    with ThreadPoolExecutor(4) as pool:
        for number in range(15):
            assert list(pool.map(attempt, [str(number)] * 4)) == [True] * 4


def test_of_twenty_at_once_in_many_processes_redis_counts_three(limit: Limit) -> None:
    client = redis.Redis(socket_connect_timeout=1)
    try:
        client.ping()
    except redis.ConnectionError:
        databases.missing("Redis does not answer")

    def attempt(_number: int) -> bool:
        return RedisWindows(redis.Redis, MemoryWindows()).allows(limit, "one")

    with ThreadPoolExecutor(20) as pool:
        assert list(pool.map(attempt, range(20))).count(True) == 3


def test_subjects_are_not_readable_in_the_table(db: None, limit: Limit) -> None:
    DatabaseWindows().allows(limit, "alice")

    assert "alice" not in RateWindow.objects.get().key
