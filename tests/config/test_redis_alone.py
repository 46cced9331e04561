"""REDIS_CONN_STRING by itself switches Redis on, and a Redis that is away takes nothing down."""

from __future__ import annotations

from pathlib import Path

import httpx
import redis

from tests import databases, server
from tests.databases import Database
from tests.ports import free_port

ADDRESS = "redis://127.0.0.1:6379/10"
WRONG = {"username": "nobody", "password": "a wrong password"}


def test_limits_are_counted_in_redis_as_soon_as_it_is_named(module_database: Database, tmp_path: Path) -> None:
    client = redis.Redis.from_url(ADDRESS, socket_connect_timeout=1)
    try:
        client.flushdb()
    except redis.ConnectionError:
        databases.missing("Redis does not answer")

    with server.running(module_database, 1, tmp_path, {"REDIS_CONN_STRING": ADDRESS}) as gateway:
        assert httpx.post(f"{gateway.base_url}/api/user/login", json=WRONG, timeout=30).status_code == 200

    assert client.keys("rateLimit:*")
    assert module_database.value("SELECT COUNT(*) FROM rate_windows") == 0
    client.flushdb()


def test_limits_hold_where_redis_is_away(module_database: Database, tmp_path: Path) -> None:
    settings = {"REDIS_CONN_STRING": f"redis://127.0.0.1:{free_port()}"}
    with server.running(module_database, 1, tmp_path, settings) as gateway, httpx.Client(timeout=30) as client:
        tries = [client.post(f"{gateway.base_url}/api/user/login", json=WRONG).status_code for _ in range(21)]

    assert (tries[0], tries[-1]) == (200, 429)
