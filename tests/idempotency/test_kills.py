"""kill -9 of workers among calls with keys: whoever asks until there is an answer pays once."""

from __future__ import annotations

import http.client
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests import server
from tests.databases import Database
from tests.fake_upstream import FakeUpstream, in_text
from tests.relay.raw import Got, ask, chat

pytestmark = pytest.mark.load

MODEL = "gpt-3.5-turbo"
CALLERS, EACH = 12, 3
PATIENCE = 60  # seconds in which a caller must have an answer


def test_a_key_is_billed_once_whatever_dies(module_database: Database, upstream: FakeUpstream, tmp_path: Path) -> None:
    with server.running(module_database, 2, tmp_path, {}) as gateway:
        gateway.add_channel(upstream.url, MODEL)
        account = gateway.new_user(10**9)
        gateway.wait_until_routed(account.key, MODEL)
        tries: list[int] = []

        def insist(key: str) -> Got:
            """Ask until there is an answer, as a client does that retries."""
            body = chat(MODEL, in_text(first_byte=300, text=f"The answer to {key}."))
            end = time.monotonic() + PATIENCE
            while time.monotonic() < end:
                tries.append(1)
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

        keys = [f"{caller}-{i}" for caller in range(CALLERS) for i in range(EACH)]
        over = threading.Event()
        with ThreadPoolExecutor(CALLERS) as threads:
            answers = [threads.submit(insist, key) for key in keys]
            for _ in range(2):
                over.wait(0.7)
                gateway.kill9("worker")
            first = {key: one.result() for key, one in zip(keys, answers, strict=True)}
            again = dict(zip(keys, threads.map(insist, keys), strict=True))

        books = gateway.books()
        books.wait_settled(server.HOLD_TTL + 20)
        books.check()
        assert len(tries) > 2 * len(keys)  # somebody was hit
        assert [len(books.logs(account.id)), len(books.charges())] == [len(keys)] * 2
        for key in keys:
            assert f"The answer to {key}." in first[key].body.decode()
            assert (again[key].body, again[key].headers["idempotent-replayed"]) == (first[key].body, "true")
        print(f"{len(keys)} keys, {len(tries)} requests, {len(upstream.seen())} calls upstream, {len(keys)} billed")
