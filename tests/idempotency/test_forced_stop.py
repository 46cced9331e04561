"""A worker is made to stop while the bill of a keyed call waits: it is written, and a repeat gets its answer."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from http.client import HTTPException
from pathlib import Path

import pytest

from tests import server
from tests.conftest import MakeGateway
from tests.databases import Database
from tests.fake_upstream import FakeUpstream, in_text
from tests.relay.raw import ask, chat, until
from tests.server import ROOT_TOKEN, Account, Gateway

pytestmark = pytest.mark.slow

MODEL = "gpt-3.5-turbo"
PATH = "/v1/chat/completions"
PURSE = 10**9
FORCED = "timeout graceful shutdown exceeded"  # uvicorn's words when it cancels what still runs
LATE = 1500  # milliseconds until the upstream answers: enough to hold up the books


@contextmanager
def locked(database: Database, user: Account) -> Iterator[None]:
    """Whoever changes this user's row waits until the exit."""
    with closing(database.connect()) as connection, closing(connection.cursor()) as cursor:
        cursor.execute("BEGIN")
        cursor.execute(f"SELECT id FROM users WHERE id = {user.id} FOR UPDATE")
        cursor.fetchall()
        yield
        cursor.execute("ROLLBACK")


def said(node: Gateway) -> str:
    files = [*Path(node.folder / "logs").glob("*"), node.output]
    return "".join(one.read_text(errors="replace") for one in files)


@pytest.mark.parametrize("database", ["postgres", "mysql"], indirect=True)  # SQLite has no locks of rows
@pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
def test_a_bill_that_waits_keeps_its_key(
    gateway: MakeGateway, database: Database, upstream: FakeUpstream, stream: bool
) -> None:
    node = gateway(database, GRACEFUL_TIMEOUT="1")
    node.add_channel(upstream.url, MODEL)
    node.wait_until_routed(ROOT_TOKEN, MODEL)
    payer, other = node.new_user(PURSE), node.new_user(PURSE)
    body = chat(MODEL, in_text(first_byte=LATE), stream=stream)

    def call_unheard(account: Account, body: object, headers: dict[str, str]) -> None:
        with suppress(OSError, HTTPException):  # the worker stops in the midst of it
            ask(node, account, PATH, body, headers=headers)

    with ThreadPoolExecutor(3) as threads:
        with locked(database, other):
            threads.submit(call_unheard, payer, body, {"Idempotency-Key": "one"})
            until(lambda: database.value(f"SELECT COUNT(*) FROM holds WHERE user_id = {payer.id}"))
            # The hold of this call waits for the lock, and behind it whatever comes to the books.
            threads.submit(call_unheard, other, chat(MODEL), {})
            upstream.wait_idle(10)
            stopping = threads.submit(node.stop)
            until(lambda: FORCED in said(node), 10)
            time.sleep(0.5)  # for what would be done to the key then
        stopping.result()
    node.restart()
    again = ask(node, payer, PATH, body, headers={"Idempotency-Key": "one"})

    assert (again.status, again.headers.get("idempotent-replayed")) == (200, "true")
    books = node.books()
    books.wait_settled(server.HOLD_TTL + 5)
    books.check()
    assert [row.quota for row in books.logs(payer.id)] == [7]  # 0.25 * 10 prompt tokens + 0.75 * 5 completion tokens
