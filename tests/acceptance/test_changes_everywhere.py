"""What is changed through the management API on one of four workers is seen by each of them within a second.

Every worker is asked on a connection of its own, so that none is left out by chance; with Redis and without.
"""

from __future__ import annotations

import http.client
import json
import os
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
import redis

from tests import databases, migrated, server
from tests.fake_upstream import FakeUpstream
from tests.server import ROOT_ACCESS_TOKEN, ROOT_TOKEN, Gateway

pytestmark = [pytest.mark.load, pytest.mark.timed, pytest.mark.timeout(120)]

WORKERS = 4
WITHIN = 1.0  # second, from the answer that says the change is made to the last call that may still not know of it
AT_ONCE = 40  # connections opened together, so that every worker accepts some
REDIS = "redis://127.0.0.1:6379/9"

Connection = http.client.HTTPConnection


@pytest.fixture(scope="module", params=["without Redis", "with Redis"])
def served(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    settings = {}
    if request.param == "with Redis":
        settings["REDIS_CONN_STRING"] = REDIS
        try:
            redis.Redis.from_url(REDIS, socket_connect_timeout=1).ping()
        except redis.ConnectionError:
            databases.missing("Redis does not answer")
    folder = tmp_path_factory.mktemp("gateway")
    with (
        migrated.copy(os.environ.get("TEST_DATABASE", "sqlite"), folder) as database,
        server.running(database, WORKERS, folder, settings) as gateway,
    ):
        gateway.add_channel("http://127.0.0.1:9", "known to all workers")
        gateway.wait_until_routed(ROOT_TOKEN, "known to all workers")
        yield gateway


@contextmanager
def each_worker(gateway: Gateway) -> Iterator[dict[int, Connection]]:
    """An open connection to each worker, by the worker's process id."""
    found: dict[int, Connection] = {}
    with ExitStack() as stack, ThreadPoolExecutor(AT_ONCE) as threads:
        end = time.monotonic() + 20
        while len(found) < WORKERS:
            assert time.monotonic() < end, f"only {len(found)} of {WORKERS} workers answer"
            for connection in list(threads.map(lambda _: _opened(gateway), range(AT_ONCE))):
                stack.callback(connection.close)
                found.setdefault(_owner(gateway, connection), connection)
        yield found


def _opened(gateway: Gateway) -> Connection:
    connection = Connection("127.0.0.1", gateway.port, timeout=30)
    asked(connection, ROOT_TOKEN, "GET", "/v1/models")  # a worker takes the connection with its first request
    connection.auto_open = 0  # closed, it must not come back as a connection to another worker
    return connection


def _owner(gateway: Gateway, connection: Connection) -> int:
    """The process that holds the other end (Linux: /proc)."""
    here, there = connection.sock.getsockname()[1], gateway.port
    ends = (f"0100007F:{there:04X}", f"0100007F:{here:04X}")
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    (inode,) = [row[9] for row in rows if (row[1], row[2]) == ends]
    for pid in gateway.worker_pids():
        for descriptor in Path(f"/proc/{pid}/fd").iterdir():
            try:
                if os.readlink(descriptor) == f"socket:[{inode}]":
                    return pid
            except FileNotFoundError:
                continue
    raise AssertionError("nobody holds the other end")


def asked(connection: Connection, key: str, method: str, path: str, body: Any = None) -> tuple[int, Any]:
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
    connection.request(method, path, None if body is None else json.dumps(body), headers)
    answer = connection.getresponse()
    return answer.status, json.load(answer)


def said(connection: Connection, key: str, model: str) -> object:
    """The text of a completion, or the status of a refusal."""
    body = {"model": model, "messages": [{"role": "user", "content": "Hello"}]}
    status, answer = asked(connection, key, "POST", "/v1/chat/completions", body)
    return answer["choices"][0]["message"]["content"] if status == 200 else status


def seen_by_all(workers: dict[int, Connection], look: Callable[[Connection], object], expected: object) -> None:
    """Every worker gives `expected` to a call begun within the bound; called right after the change was answered."""
    end = time.monotonic() + WITHIN
    with ThreadPoolExecutor(WORKERS) as threads:

        def last(connection: Connection) -> object:
            while True:
                began = time.monotonic()
                found = look(connection)
                if found == expected or began > end:
                    return found
                time.sleep(0.02)

        found = dict(zip(workers, threads.map(last, workers.values()), strict=True))
    assert found == dict.fromkeys(workers, expected)


def changed(connection: Connection, path: str, body: Any) -> None:
    status, answer = asked(connection, ROOT_ACCESS_TOKEN, "PUT", path, body)
    assert (status, answer["success"]) == (200, True), answer


def test_an_option_is_known_to_all_workers(served: Gateway) -> None:
    account = served.new_user(1_000_000, remain_quota=500_000)

    def limit(connection: Connection) -> object:
        return asked(connection, account.key, "GET", "/dashboard/billing/subscription")[1]["hard_limit_usd"]

    with each_worker(served) as workers:
        first = next(iter(workers.values()))
        assert {limit(connection) for connection in workers.values()} == {1.0}
        for value, amount in (("false", 500_000.0), ("true", 1.0)):
            changed(first, "/api/option/", {"key": "DisplayInCurrencyEnabled", "value": value})
            seen_by_all(workers, limit, amount)


def test_a_channel_is_known_to_all_workers(served: Gateway, upstream: FakeUpstream) -> None:
    model = f"channel-{served.port}"
    channel_id = served.add_channel(upstream.scripted(text="before"), model)
    account = served.new_user(10**9)
    served.wait_until_routed(account.key, model)

    def text(connection: Connection) -> object:
        return said(connection, account.key, model)

    with each_worker(served) as workers:
        first = next(iter(workers.values()))
        assert {text(connection) for connection in workers.values()} == {"before"}
        changed(first, "/api/channel/", {"id": channel_id, "base_url": upstream.scripted(text="after")})
        seen_by_all(workers, text, "after")
        changed(first, "/api/channel/", {"id": channel_id, "status": 2})
        seen_by_all(workers, text, 503)
        changed(first, "/api/channel/", {"id": channel_id, "status": 1})
        seen_by_all(workers, text, "after")


def test_a_token_is_known_to_all_workers(served: Gateway, upstream: FakeUpstream) -> None:
    model = f"token-{served.port}"
    served.add_channel(upstream.scripted(text="before"), model)
    token = served.api("POST", "/api/token/", json={"name": "second", "unlimited_quota": True})
    served.wait_until_routed(token["key"], model)

    def text(connection: Connection) -> object:
        return said(connection, token["key"], model)

    with each_worker(served) as workers:
        first = next(iter(workers.values()))
        assert {text(connection) for connection in workers.values()} == {"before"}
        changed(first, "/api/token/?status_only=true", {"id": token["id"], "status": 2})
        seen_by_all(workers, text, 401)
        changed(first, "/api/token/?status_only=true", {"id": token["id"], "status": 1})
        seen_by_all(workers, text, "before")
        changed(first, "/api/token/", {"id": token["id"], "models": "another-model"})
        seen_by_all(workers, text, 403)
