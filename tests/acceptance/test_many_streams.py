"""300 streams at a time of 64 events paced 20 ms: none lost, memory bounded."""

from __future__ import annotations

import asyncio
import json

import pytest

from tests.acceptance.traffic import FULL, charge, question
from tests.conftest import MakeGateway
from tests.databases import Database
from tests.fake_upstream import FakeUpstream
from tests.load import Client

pytestmark = [pytest.mark.load, pytest.mark.timeout(180)]

STREAMS, EVENTS, PACE = 300, 64, 20  # milliseconds
WAVES = 5 if FULL else 2
MEMORY = 400 * 2**20  # bytes, all processes of the server
MODEL = "gpt-3.5-turbo"
TEXT = "".join(f"{i:03d} " for i in range(EVENTS))


async def test_three_hundred_streams_arrive_whole(
    database: Database, gateway: MakeGateway, upstream: FakeUpstream
) -> None:
    server = gateway(database, workers=1)
    account = server.new_user(10**10)
    server.add_channel(upstream.scripted(text=TEXT, events=EVENTS, pace=PACE, usage=[8, EVENTS]), MODEL)
    server.wait_until_routed(account.key, MODEL)
    most = 0

    async def watch_memory() -> None:
        nonlocal most
        while True:
            most = max(most, await asyncio.to_thread(server.memory))
            await asyncio.sleep(0.5)

    watcher = asyncio.create_task(watch_memory())
    async with Client(server.base_url) as client:
        answered = await client.run([question(account, MODEL, stream=True)] * (STREAMS * WAVES), STREAMS)
    watcher.cancel()

    gaps = sorted(answer.longest_gap for _, answer in answered)
    print(
        f"{database.kind}: longest gap {gaps[-1] * 1000:.0f} ms (median {gaps[len(gaps) // 2] * 1000:.0f} ms),"
        f" slowest stream {max(a.ended - a.started for _, a in answered):.2f} s of {EVENTS * PACE / 1000:.2f} s,"
        f" memory {most / 2**20:.0f} MiB, {upstream.stats()['most_open']} at once"
    )
    for _, answer in answered:
        assert answer.done, (answer.status, answer.body[-300:])
        chunks = [json.loads(event) for event in answer.events() if event != "[DONE]"]
        assert "".join(chunk["choices"][0]["delta"].get("content", "") for chunk in chunks) == TEXT
    assert most < MEMORY
    books = server.books()
    books.wait_settled(10)
    books.check()
    assert books.used_quota(account.id) == STREAMS * WAVES * charge(MODEL, 8, EVENTS)
