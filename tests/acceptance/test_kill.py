"""kill -9 under load, again and again: no answered call is missing from the books, and nothing stays held."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator

import pytest

from tests.acceptance.traffic import FULL, MODELS, mixed
from tests.conftest import MakeGateway
from tests.databases import Database
from tests.fake_upstream import FakeUpstream
from tests.load import Call, Client
from tests.server import HOLD_TTL, Gateway

pytestmark = [pytest.mark.load, pytest.mark.timeout(300)]

ROUNDS = 10 if FULL else 4
LOAD_BEFORE = (0.0, 1.0)  # seconds between the load being under way and the blow, drawn anew each round
AT_A_TIME = 32
UNDER_WAY = 3 * AT_A_TIME  # answers after which it is
SWEPT = HOLD_TTL + 20  # seconds after which no hold of a dead process may be left
OPENING = 10**10


async def test_no_answered_call_is_lost(database: Database, gateway: MakeGateway, upstream: FakeUpstream) -> None:
    server = gateway(database, workers=2)
    accounts = [server.new_user(OPENING), server.new_user(OPENING, remain_quota=OPENING // 2)]
    server.add_channel(upstream.url, MODELS)
    server.wait_until_routed(accounts[0].key, "gpt-4o-mini")
    dice = random.Random(9)
    expected: dict[str, int] = {}
    calls = mixed(2, accounts)

    for round_number in range(ROUNDS):
        over, under_way = asyncio.Event(), asyncio.Event()
        async with Client(server.base_url) as client, asyncio.timeout(60):
            loading = asyncio.create_task(load(client, calls, expected, under_way, over))
            await under_way.wait()
            await asyncio.sleep(dice.uniform(*LOAD_BEFORE))
            await blow(server, round_number)
            over.set()
            await loading

    books = server.books()
    books.wait_settled(SWEPT)
    books.check()
    assert books.missing(expected) == []
    charges = books.charges()
    assert {i: (charges[i], points) for i, points in expected.items() if charges[i] != points} == {}
    print(f"{len(expected)} calls answered in {ROUNDS} rounds, {len(charges)} charged")


async def load(
    client: Client, calls: Iterator[Call], expected: dict[str, int], under_way: asyncio.Event, over: asyncio.Event
) -> None:
    """Keep calling until `over`; enter what each whole answer must cost, by request id."""
    already = len(expected)
    async for call, answer in client.stream(calls, AT_A_TIME, until=over.is_set):
        if call.about.answered(answer):
            expected[answer.request_id] = call.about.charge
        if len(expected) >= already + UNDER_WAY:
            under_way.set()


async def blow(server: Gateway, round_number: int) -> None:
    """Every third time one worker, which its master replaces; else everything, which is started again."""
    if round_number % 3 == 2:
        await asyncio.to_thread(server.kill9, "worker")
        await asyncio.sleep(1)
    else:
        await asyncio.to_thread(server.kill9)
        await asyncio.to_thread(server.restart)
