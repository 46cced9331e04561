"""What streams cost where our own count runs ahead of the truth, and where the books are slow.

gpt-3.5-turbo costs 0.25 points a prompt token and 0.75 a completion token, claude-3-haiku 0.125 and 0.625.
"""

from __future__ import annotations

import asyncio
import json
import socket
import sqlite3
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from billing.tokens import count_text
from tests import migrated, server
from tests.databases import Database
from tests.fake_upstream import FakeUpstream
from tests.relay.raw import Got, ask, chat, connected, post, until
from tests.relay.test_streams import DONE, MODEL, PATH, PURSE, USAGE, House, chunk, provider
from tests.server import ROOT_TOKEN, Account, Gateway

PROSE = "The quick brown fox jumps over the lazy dog and internationalisation responsibilities continue. " * 50
PIECES = [chunk(PROSE[i : i + 120]) for i in range(0, len(PROSE), 120)]
HAIKU = "claude-3-haiku-20240307"
models = (f"money-{number}" for number in range(1000))


@pytest.fixture(scope="module")
def house(
    module_database: Database, upstream_process: FakeUpstream, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[House]:
    with server.running(module_database, 1, tmp_path_factory.mktemp("gateway"), {}) as gateway:
        yield House(gateway, upstream_process, gateway.new_user(PURSE))


def event(document: dict[str, Any]) -> bytes:
    return f"event: {document['type']}\ndata: ".encode() + json.dumps(document).encode() + b"\n\n"


STARTED = event(
    {
        "type": "message_start",
        "message": {
            "id": "msg_1", "type": "message", "role": "assistant", "model": HAIKU, "content": [], "stop_reason": None,
            "stop_sequence": None, "usage": {"input_tokens": 1000, "output_tokens": 1},
        },
    }
)  # fmt: skip
SPEAKS = event({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}) + event(
    {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Hello"}}
)
STOPS = event({"type": "content_block_stop", "index": 0}) + event(
    {
        "type": "message_delta",
        "delta": {"stop_reason": "end_turn", "stop_sequence": None},
        "usage": {"output_tokens": 500},
    }
)
STOPPED = event({"type": "message_stop"})
NATIVE = {"model": HAIKU, "max_tokens": 1000, "stream": True, "messages": [{"role": "user", "content": "Hi"}]}
NATIVE_CHARGE = round(1000 * 0.125 + 500 * 0.625)


async def routed(gateway: Gateway, address: str, model: str, **members: Any) -> None:
    await asyncio.to_thread(gateway.add_channel, address, model, **members)
    await asyncio.to_thread(gateway.wait_until_routed, ROOT_TOKEN, model)


async def prose(house: House, account: Account, *ending: bytes, **members: Any) -> Got:
    """PROSE, played over three seconds, so that its progress comes into the books meanwhile."""
    model = next(models)
    async with provider(*PIECES, *ending, gap=0.08) as address:
        await routed(house.gateway, address, model, model_mapping=json.dumps({model: MODEL}))
        return await asyncio.to_thread(ask, house.gateway, account, PATH, chat(model, stream=True, **members))


def said(got: Got) -> int:
    """Characters of text."""
    documents = [json.loads(one) for one in got.events() if one.startswith('{"choices"')]
    return sum(len(choice["delta"].get("content") or "") for one in documents for choice in one["choices"])


async def test_a_maximum_that_is_kept_cuts_nothing_off(house: House) -> None:
    """Reckoned by size, the text is half as long again as by the tokenizer, and longer than its maximum."""
    tokens = count_text(MODEL, PROSE)
    account = house.gateway.new_user(PURSE)

    got = await prose(house, account, chunk(finish="stop"), USAGE + DONE, max_tokens=tokens + 5)

    assert said(got) == len(PROSE)
    assert got.body.endswith(DONE)
    house.settled(account)


async def test_nobody_is_cut_off_for_what_they_do_not_owe(house: House) -> None:
    tokens = count_text(MODEL, PROSE)
    account = house.gateway.new_user(round(tokens * 0.75) + 60)

    got = await prose(house, account, chunk(finish="stop"), DONE)

    assert said(got) == len(PROSE)
    (row,) = house.settled(account)
    assert abs(row.completion_tokens - tokens) <= 5  # a word may be counted on both sides of a look
    assert row.uncollected == 0


class TestSlowBooks:
    """On SQLite, which one writer locks for all."""

    @pytest.fixture
    def alone(self, gateway: Any, tmp_path: Path) -> Iterator[tuple[Gateway, Account, str]]:
        with migrated.copy("sqlite", tmp_path) as database:
            made = gateway(database)
            yield made, made.new_user(PURSE), database.name

    async def test_the_end_of_a_stream_waits_for_its_charge(self, alone: tuple[Gateway, Account, str]) -> None:
        gateway, account, path = alone

        def end_of(caller: socket.socket, got: bytes) -> bytes:
            while b"message_stop" not in got:
                got += caller.recv(65536)
            return got

        def played() -> None:
            with connected(gateway) as caller, sqlite3.connect(path, isolation_level=None) as other:
                caller.sendall(post(gateway, account, json.dumps(NATIVE).encode(), "/v1/messages"))
                got = b""
                while b"Hello" not in got:
                    got += caller.recv(65536)
                other.execute("BEGIN IMMEDIATE")
                caller.settimeout(1)
                with pytest.raises(TimeoutError):
                    end_of(caller, got)
                assert not gateway.books().charges()
                other.rollback()
                caller.settimeout(10)
                end_of(caller, b"")
                assert gateway.books().charges()

        async with provider(STARTED + SPEAKS, STOPS, STOPPED, gap=0.4, linger=1) as address:
            await routed(gateway, address, HAIKU, type=14)
            await asyncio.to_thread(played)
        (row,) = gateway.books().logs(account.id)
        assert row.quota == NATIVE_CHARGE

    async def test_they_are_no_fault_of_the_caller_s(
        self, alone: tuple[Gateway, Account, str], upstream: FakeUpstream
    ) -> None:
        """Pings before anything is said, and books busy with another call: hold and progress come there together."""
        gateway, account, path = alone
        ping = event({"type": "ping"})
        await routed(gateway, upstream.url, MODEL)

        def asked() -> Got:
            gateway.call(account.key, "GET", "/v1/models")  # the key is known
            with sqlite3.connect(path, isolation_level=None, check_same_thread=False) as other:
                other.execute("BEGIN IMMEDIATE")
                with ThreadPoolExecutor(2) as threads:
                    before = threads.submit(ask, gateway, account, PATH, chat(MODEL))
                    until(upstream.seen)
                    time.sleep(0.2)  # until its settlement waits for the database
                    got = threads.submit(ask, gateway, account, "/v1/messages", NATIVE)
                    time.sleep(2)  # until progress is due
                    other.rollback()
                    assert before.result().status == 200
                    return got.result()

        async with provider(STARTED, *[ping] * 12, SPEAKS, STOPS, STOPPED, gap=0.2, linger=1) as address:
            await routed(gateway, address, HAIKU, type=14)
            got = await asyncio.to_thread(asked)

        assert got.status == 200
        assert got.body.endswith(STOPPED)
        gateway.books().wait_settled(5)
        assert NATIVE_CHARGE in [row.quota for row in gateway.books().logs(account.id)]
