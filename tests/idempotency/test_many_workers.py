"""Keys among several workers: fifty duplicates at once, and kill -9 of workers. Whoever asks long enough pays once."""

from __future__ import annotations

import http.client
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests import server
from tests.databases import Database
from tests.fake_upstream import FakeUpstream, in_text
from tests.relay.raw import Got, ask, chat
from tests.server import Account, Gateway

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

MODEL = "gpt-3.5-turbo"
AT_ONCE = 50
CALLERS, EACH, KILLS = 12, 3, 2
PATIENCE = 60  # seconds in which a caller must have an answer
CHARGE = 7  # points: (10 prompt + 5 completion tokens * 3) * 0.25, rounded up


def test_a_key_is_one_call_however_many_ask_and_whatever_dies(
    database: Database, upstream: FakeUpstream, tmp_path: Path
) -> None:
    with server.running(database, 4, tmp_path, {}) as gateway:
        gateway.add_channel(upstream.url, MODEL)
        account = gateway.new_user(10**9)
        gateway.wait_until_routed(account.key, MODEL)
        for stream in (False, True):
            upstream.reset()
            answers = at_once(gateway, account, chat(MODEL, in_text(first_byte=300), stream=stream), f"stream {stream}")

            assert {one.status for one in answers} == {200}
            assert len({one.body for one in answers}) == 1
            assert sum("idempotent-replayed" not in one.headers for one in answers) == 1
            assert len(upstream.seen()) == 1
        assert [row.quota for row in gateway.books().logs(account.id)] == [CHARGE] * 2
        if database.kind == "sqlite":  # the others would only take as long again
            killed_among(gateway, gateway.new_user(10**9), upstream)
        gateway.books().wait_settled(server.HOLD_TTL + 20)
        gateway.books().check()


def at_once(gateway: Gateway, account: Account, body: Any, key: str) -> Sequence[Got]:
    line = threading.Barrier(AT_ONCE)

    def one(_: int) -> Got:
        line.wait()
        return ask(gateway, account, "/v1/chat/completions", body, headers={"Idempotency-Key": key})

    with ThreadPoolExecutor(AT_ONCE) as threads:
        return list(threads.map(one, range(AT_ONCE)))


def killed_among(gateway: Gateway, account: Account, upstream: FakeUpstream) -> None:
    """Workers die among calls whose callers insist: each has its answer in the end, and is billed for one."""
    upstream.reset()
    tries: list[str] = []

    def insist(key: str) -> Got:
        """Ask until there is an answer, as a client does that retries."""
        body = chat(MODEL, in_text(first_byte=1000, text=f"The answer to {key}."))
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            tries.append(key)
            try:
                got = ask(gateway, account, "/v1/chat/completions", body, headers={"Idempotency-Key": key})
            except (OSError, http.client.HTTPException):
                time.sleep(0.1)
                continue
            if got.status == 200:
                return got
            assert got.status in (409, 502, 503), got.body
            time.sleep(0.2)
        raise AssertionError(f"no answer to {key} in {PATIENCE} s")

    def hit() -> bool:
        """Whether somebody had to ask again. Nobody need have been at the worker that was killed."""
        return len(tries) > len(set(tries))

    keys = [f"{caller}-{i}" for caller in range(CALLERS) for i in range(EACH)]
    with ThreadPoolExecutor(CALLERS) as threads:
        running = [threads.submit(insist, key) for key in keys]
        kills = 0
        while kills < KILLS or not (hit() or all(one.done() for one in running)):
            while len(tries) < CALLERS * min(kills + 1, EACH):
                time.sleep(0.01)
            time.sleep(0.2)  # all are under way, and none is answered before 1 s
            gateway.kill9("worker")
            kills += 1
        assert hit()
        first = {key: one.result() for key, one in zip(keys, running, strict=True)}
        again = dict(zip(keys, threads.map(insist, keys), strict=True))

    books = gateway.books()
    books.wait_settled(server.HOLD_TTL + 20)
    assert [row.quota for row in books.logs(account.id)] == [CHARGE] * len(keys)
    for key in keys:
        assert f"The answer to {key}." in first[key].body.decode()
        assert (again[key].body, again[key].headers["idempotent-replayed"]) == (first[key].body, "true")
    print(f"{len(keys)} keys, {len(tries)} requests, {len(upstream.seen())} calls upstream, {len(keys)} billed")
