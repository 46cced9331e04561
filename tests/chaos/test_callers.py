"""A thousand callers who read slowly, and a thousand who leave at any byte."""

from __future__ import annotations

import random
from typing import Any

import pytest

from tests.chaos.conftest import Try
from tests.chaos.crowd import Visit, all_at_once, visit
from tests.chaos.site import Site
from tests.chaos.storm import SHORT, Storm, rounds
from tests.fake_upstream import in_text

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(900)]

CROWD = 100 if SHORT else 1_000
LANES = 100  # leaving callers at a time
MODEL = "gpt-3.5-turbo"
EVENTS, SAID = 40, "word " * 2_000  # 400 kB of stream, more than all buffers on the way, in few pieces
SLOW = 12  # pieces a slow reader takes before leaving
EACH, MORE = 100 * 2**10, 64 * 2**20  # bytes a slow reader may cost, beyond what readers before it have cost, and all


def body(**orders: Any) -> dict[str, Any]:
    return {"model": MODEL, "messages": [{"role": "user", "content": in_text(**orders)}], "stream": True}


@pytest.mark.chaos("sqlite")
async def test_slow_readers(anywhere: Site, attempt: Try) -> None:
    url, key = anywhere.gateway.base_url, anywhere.accounts[0].key
    long = body(text=SAID, times=EVENTS, events=EVENTS, usage=[8, EVENTS])

    async def crowd() -> list[Visit]:
        return await all_at_once([visit(url, key, long, leave_after=SLOW * 512, pause=0.3) for _ in range(CROWD)])

    before = await crowd()  # vocabularies are loaded now, pools are full: what a second crowd adds is a leak
    async with attempt(f"{CROWD} slow readers") as trial:
        for _ in range(rounds(1, 1)):
            async with Storm(anywhere) as storm:
                memory = anywhere.gateway.memory()
                seen = before + await crowd()
                assert anywhere.gateway.memory() < memory + CROWD * EACH + MORE
                resumed = await storm.resumed()
            trial.heard(storm, resumed)
            trial.row.calls += len(seen)
            # The provider is one process: with a thousand streams to begin, it may let others wait for too long.
            assert set(storm.statuses) <= {200, 504}, storm.statuses
            assert [one for one in seen if not one.request_id or one.ended] == []
            books = anywhere.gateway.books()
            books.wait_settled(30)
            charges = books.charges()
            assert [one.request_id for one in seen if not charges.get(one.request_id)] == []  # all have read something


@pytest.mark.chaos("postgres")
async def test_callers_who_leave_at_any_byte(anywhere: Site, attempt: Try) -> None:
    url, key = anywhere.gateway.base_url, anywhere.accounts[1].key
    dice = random.Random(12)
    short = body(text=SAID, times=20, events=20, pace=2, usage=[8, 20])
    whole = await visit(url, key, short, leave_after=10**9)
    assert whole.ended
    async with attempt(f"{CROWD} callers leave at a random byte") as trial:
        for _ in range(rounds(1, 1)):
            async with Storm(anywhere) as storm:
                seen = []
                for _ in range(CROWD // LANES):
                    bytes_each = [dice.randint(0, whole.size + 1) for _ in range(LANES)]
                    seen += await all_at_once([visit(url, key, short, leave_after=size) for size in bytes_each])
                resumed = await storm.resumed()
            trial.heard(storm, resumed)
            trial.row.calls += len(seen)
            assert set(storm.statuses) == {200}, storm.statuses
            books = anywhere.gateway.books()
            books.wait_settled(30)
            charges = books.charges()
            assert [one for one in seen if one.request_id and not charges.get(one.request_id)] == []
