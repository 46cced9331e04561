"""A node behind a balancer leaves without losing a call: it goes on serving, says so, and closes its door cleanly."""

from __future__ import annotations

import http.client
import os
import signal
import threading
import time
from collections import Counter
from contextlib import closing
from pathlib import Path

import pytest

from tests.config.test_serve import process
from tests.ports import free_port
from tests.server import descendants

APPLICATION = """
import asyncio, os
from config import draining

async def application(scope, receive, send):
    if scope["type"] == "lifespan":
        for kind in ("startup", "shutdown"):
            await receive()
            await send({"type": f"lifespan.{kind}.complete"})
        return
    headers = [(b"content-length", b"5"), (b"x-worker", b"%d" % os.getpid())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await asyncio.sleep(1.5 if scope["path"] == "/slow" else 0)
    await send({"type": "http.response.body", "body": b"leave" if draining.under_way() else b"stays"})
"""
CALLERS = 8


def asked(connection: http.client.HTTPConnection, path: str = "/") -> tuple[str, str | None]:
    """What was answered, and whether the connection is to be closed."""
    connection.request("POST", path, b"paid")
    answer = connection.getresponse()
    return answer.read().decode(), answer.getheader("connection")


def call_until_refused(port: int, outcomes: Counter[str]) -> None:
    """New connections one after the other. To be refused or unheard is well; to be cut is a call lost."""
    while True:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        try:
            connection.connect()
        except (ConnectionRefusedError, TimeoutError):
            return
        try:
            outcomes[asked(connection)[0]] += 1
        except (ConnectionError, http.client.HTTPException):
            outcomes["lost"] += 1
        finally:
            connection.close()


def draining_node(folder: Path, port: int):
    """Two workers that drain for a second."""
    (folder / "leaves.py").write_text(APPLICATION)
    command = ["-m", "gunicorn", "leaves:application", "--bind", f"127.0.0.1:{port}", "--workers", "2"]
    command += ["--worker-class", "config.worker.Worker", "--logger-class", "config.worker.Logger"]
    return process(folder, [*command, "--no-control-socket"], port, DRAIN_TIMEOUT="1")


def worker_of_a_new_call(port: int) -> int:
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=2)) as connection:
        connection.request("POST", "/", b"paid")
        answer = connection.getresponse()
        answer.read()
        return int(answer.getheader("x-worker") or 0)


@pytest.mark.parametrize("who", ["all, for a reload", "one"])
def test_workers_that_leave_while_the_node_stays_shut_nobody_out(tmp_path, who):
    port = free_port()
    with draining_node(tmp_path, port) as running:
        served = worker_of_a_new_call(port)
        leaving = {served} if who == "one" else set(descendants(running.pid))
        if who == "one":
            os.kill(served, signal.SIGTERM)
        else:
            running.send_signal(signal.SIGHUP)
        end = time.monotonic() + 60
        while leaving & set(descendants(running.pid)):
            assert time.monotonic() < end
            time.sleep(0.05)
        after = 0
        while not after:
            assert time.monotonic() < end, "no new connection is accepted"
            try:
                after = worker_of_a_new_call(port)
            except TimeoutError:
                continue

        assert after in descendants(running.pid)
        assert after not in leaving
        running.send_signal(signal.SIGTERM)
        assert running.wait(20) == 0


def test_a_node_that_leaves_loses_no_call(tmp_path):
    port = free_port()
    outcomes: Counter[str] = Counter()
    with draining_node(tmp_path, port) as running:
        kept, streaming = (http.client.HTTPConnection("127.0.0.1", port, timeout=10) for _ in range(2))
        before = asked(kept)
        callers = [threading.Thread(target=call_until_refused, args=(port, outcomes)) for _ in range(CALLERS)]
        for caller in callers:
            caller.start()
        streaming.request("POST", "/slow", b"paid")
        long = streaming.getresponse()  # its head came before the node was asked to leave
        running.send_signal(signal.SIGTERM)
        while "leave" not in outcomes:
            assert running.poll() is None
            time.sleep(0.01)
        during = asked(kept)
        for caller in callers:
            caller.join(20)
        told = long.read()
        after = asked(streaming)  # the door is closed; what was kept open is served once more
        ended = running.wait(20)

    assert before == ("stays", None)
    assert during == ("leave", "close")
    assert (told, after) == (b"leave", ("leave", "close"))
    assert outcomes["lost"] == 0
    assert outcomes["stays"]
    assert outcomes["leave"]
    assert ended == 0
