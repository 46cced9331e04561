"""What blocks has threads of its own: look-ups that are stuck keep no bill waiting."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager

import pytest
from django.db import DatabaseError, IntegrityError, InterfaceError, OperationalError

from config.logging import request_id
from relay import threads
from relay.errors import GatewayError
from tests.conftest import MakeGateway
from tests.databases import Database
from tests.fake_upstream import FakeUpstream, in_text
from tests.relay.raw import Got, ask, chat, until
from tests.server import ROOT_TOKEN

MODEL = "gpt-3.5-turbo"
PATH = "/v1/chat/completions"
PURSE = 10**9
CROWD = 40  # more than asyncio's own pool has threads anywhere
LOCK = {"postgres": "LOCK TABLE keyed_calls IN ACCESS EXCLUSIVE MODE", "mysql": "LOCK TABLES keyed_calls WRITE"}
LIMIT = 20  # seconds for what would otherwise never end


@contextmanager
def locked(database: Database) -> Iterator[None]:
    """Whoever looks at an Idempotency-Key waits until the exit."""
    with closing(database.connect()) as holding, closing(holding.cursor()) as cursor:
        cursor.execute("BEGIN")
        cursor.execute(LOCK[database.kind])
        yield


@pytest.mark.slow
@pytest.mark.parametrize("database", LOCK, indirect=True)
def test_look_ups_that_are_stuck_keep_no_bill_waiting(
    gateway: MakeGateway, database: Database, upstream: FakeUpstream
) -> None:
    node = gateway(database)
    node.add_channel(upstream.url, MODEL)
    node.wait_until_routed(ROOT_TOKEN, MODEL)
    stuck, payer = node.new_user(PURSE), node.new_user(PURSE)

    def keyed(number: int) -> Got:
        return ask(node, stuck, PATH, chat(MODEL), headers={"Idempotency-Key": f"{number}"}, timeout=60)

    with ThreadPoolExecutor(CROWD) as callers:
        with locked(database):
            waiting = [callers.submit(keyed, number) for number in range(CROWD)]
            until(lambda: node.metric("one_api_calls_in_flight") >= CROWD, LIMIT)
            got = ask(node, payer, PATH, chat(MODEL, in_text(usage=None)), timeout=LIMIT)
        answered = [one.result().status for one in waiting]

    assert got.status == 200
    assert answered == [200] * CROWD


@pytest.mark.django_db(transaction=True)
class TestThreads:
    async def test_what_computes_does_not_wait_for_the_database(self) -> None:
        over, inside = threading.Event(), threading.Semaphore(0)

        def look() -> None:
            inside.release()
            over.wait(LIMIT)

        looks = [asyncio.create_task(threads.in_database_thread(look)) for _ in range(3 * threads.LOOKING)]
        try:
            async with asyncio.timeout(LIMIT):
                for _ in range(threads.LOOKING):
                    await asyncio.to_thread(inside.acquire)
                assert await threads.in_computing_thread(len, "four") == 4
                assert not inside.acquire(blocking=False)  # no more than that look at a time
        finally:
            over.set()
            await asyncio.gather(*looks)

    @pytest.mark.parametrize("error", [OperationalError, InterfaceError])
    async def test_a_look_that_failed_in_passing_is_taken_again(self, error: type[Exception]) -> None:
        failures = [error("locked"), error("gone")]

        def look(found: str) -> str:
            if failures:
                raise failures.pop()
            return found

        assert await threads.look_up("it", look, "it is there") == "it is there"

    @pytest.mark.parametrize(("error", "attempts"), [(OperationalError, threads.ATTEMPTS), (IntegrityError, 1)])
    async def test_a_look_in_vain_is_our_own_failure(self, error: type[DatabaseError], attempts: int) -> None:
        made: list[DatabaseError] = []

        def look() -> None:
            made.append(error("away"))
            raise made[-1]

        with pytest.raises(GatewayError, match="cannot look up it at the moment") as raised:
            await threads.look_up("it", look)
        assert (raised.value.status, raised.value.code, raised.value.__cause__) == (503, "not_ready", made[-1])
        assert len(made) == attempts

    async def test_what_is_logged_in_there_names_the_request(self) -> None:
        request_id.set("2026")

        assert await threads.in_computing_thread(request_id.get) == "2026"
        assert await threads.in_database_thread(request_id.get) == "2026"
