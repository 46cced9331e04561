"""A Redis that does not answer is waited for once, and then left alone for a while."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest
import redis

from config import redis_clients
from config.redis import AWAY, parse
from tests.nodes.services import redis_server


class Clock:
    now = 1000.0

    def monotonic(self) -> float:
        return self.now


def test_a_frozen_server_costs_one_wait(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()
    monkeypatch.setattr(redis_clients, "time", clock)
    with redis_server(tmp_path, "127.0.0.1") as server:
        client = parse(server.url, "", "").client()
        client.set("known", "1")
        server.signal(signal.SIGSTOP)
        with pytest.raises(redis.TimeoutError):
            client.get("known")
        server.signal(signal.SIGCONT)

        with pytest.raises(redis.ConnectionError, match="did not answer a moment ago"):
            client.get("known")
        clock.now += AWAY
        assert client.get("known") == b"1"


def test_a_server_that_was_started_again_is_not_missed(tmp_path: Path) -> None:
    with redis_server(tmp_path, "127.0.0.1") as server:
        client = parse(server.url, "", "").client()
        client.set("known", "1")
        server.kill()
        server.start()

        assert client.get("known") is None
