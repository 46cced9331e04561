"""A call leaves no circle of objects behind: what only the collector frees makes every call a quarter dearer."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from tests.databases import Database
from tests.fake_upstream import FakeUpstream, in_text
from tests.server import ROOT, ROOT_TOKEN, Gateway, running

HOOK = ROOT / "tests" / "relay" / "collected"
CALLS = 50


@dataclass(frozen=True, slots=True)
class Watched:
    """A server of one worker that tells what only its collector would have freed."""

    server: Gateway
    key: str
    path: Path

    def left_by(self, act: Callable[[], None]) -> dict[str, int]:
        """Types of which one or more stayed for each time of `act`, and how many of them."""
        (pid,) = self.server.worker_pids()
        for _ in range(5):
            act()
        time.sleep(0.5)  # what is under way ends before, and after, what is counted
        os.kill(pid, signal.SIGUSR2)
        time.sleep(0.2)
        for _ in range(CALLS):
            act()
        time.sleep(0.5)
        return {name: count for name, count in told(pid, self.path).items() if count >= CALLS}


def told(pid: int, path: Path) -> dict[str, int]:
    os.kill(pid, signal.SIGUSR2)
    written = Path(f"{path}.{pid}")
    end = time.monotonic() + 20
    while not written.exists():
        assert time.monotonic() < end, "the worker wrote nothing"
        time.sleep(0.05)
    lines = written.read_text().splitlines()
    written.unlink()
    return {name: int(count) for name, count in (line.split() for line in lines)}


@pytest.fixture(scope="module")
def served(
    module_database: Database, upstream_process: FakeUpstream, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Watched]:
    folder = tmp_path_factory.mktemp("garbage")
    path = folder / "collected"
    with running(module_database, 1, folder, {"COLLECTED": str(path), "PYTHONPATH": str(HOOK)}) as server:
        server.add_channel(upstream_process.url, "gpt-4o-mini")
        server.wait_until_routed(ROOT_TOKEN, "gpt-4o-mini")
        yield Watched(server, server.new_user(10**9).key, path)


@pytest.mark.parametrize("stream", [False, True])
def test_nothing_of_a_call_waits_for_the_collector(served: Watched, stream: bool) -> None:
    body = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "Hello"}], "stream": stream}
    with httpx.Client(base_url=served.server.base_url, headers={"Authorization": f"Bearer sk-{served.key}"}) as client:

        def call() -> None:
            assert client.post("/v1/chat/completions", json=body).status_code == 200

        assert served.left_by(call) == {}


def test_nothing_of_a_caller_who_left_waits_for_the_collector(served: Watched) -> None:
    """He may have left much unread: a thousand of them were 280 MB that stayed until some later collection."""
    orders = in_text(text="word " * 2_000, times=40, events=40, pace=20)
    body = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": orders}], "stream": True}

    def read_and_leave() -> None:
        with httpx.stream(
            "POST",
            f"{served.server.base_url}/v1/chat/completions",
            json=body,
            headers={"Authorization": f"Bearer sk-{served.key}"},
        ) as answer:
            assert answer.status_code == 200
            next(answer.iter_raw())

    left = served.left_by(read_and_leave)
    served.server.books().wait_settled(10)
    assert left == {}
