"""A call leaves no circle of objects behind: what only the collector frees makes every call a quarter dearer."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import Any

import httpx

from tests.conftest import MakeGateway
from tests.databases import Database
from tests.fake_upstream import FakeUpstream
from tests.server import ROOT, ROOT_TOKEN

HOOK = ROOT / "tests" / "relay" / "collected"
CALLS = 50


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


def test_nothing_of_a_call_waits_for_the_collector(
    gateway: MakeGateway, module_database: Database, upstream: FakeUpstream, tmp_path: Path
) -> None:
    path = tmp_path / "collected"
    served = gateway(module_database, COLLECTED=str(path), PYTHONPATH=str(HOOK))
    served.add_channel(upstream.url, "gpt-4o-mini")
    served.wait_until_routed(ROOT_TOKEN, "gpt-4o-mini")
    account = served.new_user(10**9)
    (pid,) = served.worker_pids()
    left: dict[bool, dict[str, int]] = {}
    with httpx.Client(base_url=served.base_url, headers={"Authorization": f"Bearer sk-{account.key}"}) as client:
        for stream in (False, True):
            body = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "Hello"}], "stream": stream}

            def call(times: int, body: dict[str, Any] = body) -> None:
                for _ in range(times):
                    assert client.post("/v1/chat/completions", json=body).status_code == 200

            call(5)
            os.kill(pid, signal.SIGUSR2)
            time.sleep(0.2)
            call(CALLS)
            left[stream] = {name: count for name, count in told(pid, path).items() if count >= CALLS}

    assert left == {False: {}, True: {}}
