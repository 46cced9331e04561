"""Streams that end in every way there is, and callers who leave at every moment: what is passed on, and what it costs.

gpt-3.5-turbo costs 0.25 points a prompt token and 0.75 a completion token.
"""

from __future__ import annotations

import asyncio
import json
import random
import socket
import struct
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import pytest

from tests import server
from tests.databases import Database
from tests.fake_upstream import FakeUpstream, in_text
from tests.relay.raw import Got, ask, chat, connected, post, until
from tests.server import ROOT_TOKEN, Account, Gateway
from tests.upstream.script import TEXT

MODEL = "gpt-3.5-turbo"
PATH = "/v1/chat/completions"
PURSE = 10**9
EVENTS = 400
LONG = "word " * EVENTS  # one token an event


@dataclass(frozen=True, slots=True)
class House:
    gateway: Gateway
    upstream: FakeUpstream
    user: Account

    def stream(self, **orders: Any) -> Got:
        return ask(self.gateway, self.user, PATH, chat(MODEL, in_text(**orders), stream=True))

    def settled(self, account: Account) -> list[Any]:
        """The account's log rows when all is settled; the books hold."""
        books = self.gateway.books()
        books.wait_settled(5)
        books.check()
        return books.logs(account.id)


@pytest.fixture(scope="module")
def house(
    module_database: Database, upstream_process: FakeUpstream, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[House]:
    settings = {"RELAY_IDLE_TIMEOUT": "3", "RELAY_FIRST_BYTE_TIMEOUT": "5"}
    with server.running(module_database, 1, tmp_path_factory.mktemp("gateway"), settings) as gateway:
        gateway.add_channel(upstream_process.url, f"{MODEL},gpt-3.5-turbo-instruct,text-embedding-3-small,dall-e-2")
        endless = upstream_process.scripted(text="word ", times=EVENTS * 3, events=EVENTS * 3, pace=1, usage=None)
        gateway.add_channel(endless, "endless", model_mapping=json.dumps({"endless": MODEL}))
        gateway.wait_until_routed(ROOT_TOKEN, "endless")
        yield House(gateway, upstream_process, gateway.new_user(PURSE))


@asynccontextmanager
async def provider(*pieces: bytes, gap: float = 0.02, linger: float = 0, length: str = "") -> AsyncIterator[str]:
    """A provider's address whose streams are exactly these pieces; it lets go of the connection `linger` s later."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        size = next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
        await reader.readexactly(int(size.partition(b":")[2]))
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n" + length.encode() + b"\r\n")
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(gap)
        await asyncio.sleep(linger)

    async def connection(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        playing.add(asyncio.current_task())
        try:
            await serve(reader, writer)
        except (asyncio.CancelledError, ConnectionError, asyncio.IncompleteReadError):
            pass  # the test is over, or the gateway has left
        finally:
            writer.transport.abort() if writer.is_closing() else writer.close()

    playing: set[asyncio.Task[None] | None] = set()
    made = await asyncio.start_server(connection, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{made.sockets[0].getsockname()[1]}"
    finally:
        made.close()
        for task in playing:
            if task is not None:
                task.cancel()
        await asyncio.sleep(0)


def chunk(text: str = "", finish: str | None = None, **members: Any) -> bytes:
    choice = {"index": 0, "delta": {"content": text} if text else {}, "finish_reason": finish}
    return b"data: " + json.dumps({"choices": [choice], **members}).encode() + b"\n\n"


USAGE = b'data: {"choices":[],"usage":{"prompt_tokens":100,"completion_tokens":10,"total_tokens":110}}\n\n'
DONE = b"data: [DONE]\n\n"
ERROR = b'data: {"error":{"message":"broken inside","type":"t","code":"c"}}\n\n'
spare = iter(range(1000))


async def streamed(house: House, *pieces: bytes, account: Account | None = None, **manner: Any) -> Got:
    """The answer to a stream that a provider plays exactly like this, on a channel of its own."""
    model = f"played-{next(spare)}"
    async with provider(*pieces, **manner) as address:
        mapping = json.dumps({model: MODEL})
        await asyncio.to_thread(house.gateway.add_channel, address, model, model_mapping=mapping)
        await asyncio.to_thread(house.gateway.wait_until_routed, ROOT_TOKEN, model)
        body = chat(model, stream=True)
        return await asyncio.to_thread(ask, house.gateway, account or house.user, PATH, body)


class TestGrammar:
    @pytest.mark.parametrize("framing", ["plain", "no_space", "comments", "crlf", "multiline"])
    def test_every_way_of_writing_is_passed_on_as_it_is(self, house: House, framing: str) -> None:
        got = house.stream(framing=framing)

        assert got.body.endswith(b"data: [DONE]\n\n")
        assert got.body.count(b"[DONE]") == 1
        marks = {"no_space": b"data:{", "comments": b": keep-alive", "crlf": b"\r\n\r\n", "multiline": b",\ndata: "}
        assert marks.get(framing, b"data: {") in got.body

    async def test_events_in_pieces_and_several_at_once(self, house: House) -> None:
        whole = chunk("Hello") + b"event: x\nid: 7\n: comment\n" + chunk(" you") + chunk(finish="stop") + USAGE + DONE
        pieces = [whole[i : i + 7] for i in range(0, len(whole), 7)]
        account = house.gateway.new_user(PURSE)

        got = await streamed(house, *pieces, gap=0, account=account)

        assert got.body == whole.replace(USAGE, b"")
        (row,) = house.settled(account)
        assert (row.prompt_tokens, row.completion_tokens, row.quota, row.estimated) == (100, 10, 33, False)

    async def test_carriage_returns_and_a_byte_order_mark(self, house: House) -> None:
        whole = (chunk("Hello") + chunk(finish="stop") + DONE).replace(b"\n", b"\r")

        got = await streamed(house, b"\xef\xbb\xbf" + whole)

        assert got.body == whole.removesuffix(DONE.replace(b"\n", b"\r")) + DONE

    async def test_a_last_event_without_its_blank_line(self, house: House) -> None:
        got = await streamed(house, chunk("Hello") + chunk(finish="stop").rstrip())

        assert got.body == chunk("Hello") + chunk(finish="stop") + DONE

    async def test_payloads_that_are_no_json_pass(self, house: House) -> None:
        odd = b"data: not json\n\ndata: [1]\n\ndata: null\n\ndata:\n\n"

        got = await streamed(house, odd + chunk("x") + chunk(finish="stop") + DONE)

        assert got.body == odd + chunk("x") + chunk(finish="stop") + DONE

    async def test_vendor_members_and_reasoning_pass_and_count(self, house: House) -> None:
        event = b'data: {"choices":[{"index":0,"delta":{"reasoning_content":"one two three"}}],"x":1.10}\n\n'
        account = house.gateway.new_user(PURSE)

        got = await streamed(house, event, chunk(finish="stop") + DONE, account=account)

        assert event in got.body
        (row,) = house.settled(account)
        assert (row.completion_tokens, row.estimated) == (3, True)

    async def test_azure_s_first_event_is_kept_back(self, house: House) -> None:
        first = b'data: {"choices":[],"prompt_filter_results":[]}\n\n'

        got = await streamed(house, first, chunk("x"), chunk(finish="stop") + DONE)

        assert got.body == chunk("x") + chunk(finish="stop") + DONE


class TestEnds:
    async def test_done_is_the_end_even_if_the_upstream_holds_the_line(self, house: House) -> None:
        account = house.gateway.new_user(PURSE)

        got = await streamed(house, chunk("x") + chunk(finish="stop") + USAGE + DONE, linger=8, account=account)

        assert got.body == chunk("x") + chunk(finish="stop") + DONE
        assert [row.quota for row in house.settled(account)] == [33]
        took = house.gateway.database.value(f"SELECT elapsed_time FROM logs WHERE user_id = {account.id}")
        assert took < 2500  # milliseconds; a silent upstream is given up after 3 s

    async def test_a_finish_reason_is_an_end_too(self, house: House) -> None:
        got = await streamed(house, chunk("x") + chunk(finish="stop"))

        assert got.body.endswith(DONE)

    @pytest.mark.parametrize(
        "length", ["", "Content-Length: 9999\r\n", "Transfer-Encoding: chunked\r\n"], ids=["close", "length", "chunked"]
    )
    async def test_broken_off_is_an_error_event_and_no_done(self, house: House, length: str) -> None:
        account = house.gateway.new_user(PURSE)
        event = chunk("one two three")
        piece = b"%x\r\n%b\r\n" % (len(event), event) if "chunked" in length else event

        got = await streamed(house, piece, length=length, account=account)

        assert b"[DONE]" not in got.body
        assert json.loads(got.events()[-1])["error"]["type"] == "upstream_error"
        (row,) = house.settled(account)
        assert (row.completion_tokens, row.estimated) == (3, True)

    async def test_usage_told_too_early_does_not_make_the_rest_free(self, house: House) -> None:
        """Providers that repeat a running usage: what came after the last one counts when the stream breaks off."""
        account = house.gateway.new_user(PURSE)
        running = {"prompt_tokens": 100, "completion_tokens": 0, "total_tokens": 100}

        await streamed(house, chunk("one", usage=running), chunk(" two three four" * 50), account=account)

        (row,) = house.settled(account)
        assert row.completion_tokens > 100

    async def test_a_stall_is_an_error_event(self, house: House) -> None:
        got = await streamed(house, chunk("x"), linger=8)

        assert json.loads(got.events()[-1])["error"]["code"] == "upstream_timeout"

    async def test_an_error_in_the_middle_is_passed_on_as_it_is(self, house: House) -> None:
        account = house.gateway.new_user(PURSE)

        got = await streamed(house, chunk("one two"), ERROR + DONE, account=account)

        assert got.body == chunk("one two") + ERROR
        (row,) = house.settled(account)
        assert row.completion_tokens == 2

    @pytest.mark.parametrize(
        "pieces",
        [[ERROR], [ERROR + DONE], [ERROR + b": bye\n\n"], [ERROR.rstrip()], [b"\n", ERROR]],
        ids=["alone", "done", "comment", "no-blank-line", "blank-line-first"],
    )
    async def test_an_error_first_is_no_stream_and_free(self, house: House, pieces: list[bytes]) -> None:
        account = house.gateway.new_user(PURSE)

        got = await streamed(house, *pieces, account=account)

        assert (got.status, got.headers["content-type"]) == (502, "application/json; charset=utf-8")
        assert (got.error["message"].partition(" (")[0], got.error["code"]) == ("broken inside", "c")
        assert house.settled(account) == []

    async def test_nothing_at_all_is_an_error_and_free(self, house: House) -> None:
        account = house.gateway.new_user(PURSE)

        got = await streamed(house, b"", account=account)

        assert (got.status, got.error["code"]) == (502, "empty_stream")
        assert house.settled(account) == []

    @pytest.mark.parametrize("mode", ["chat", "completions"])
    def test_without_done_one_is_added(self, house: House, mode: str) -> None:
        if mode == "chat":
            got = house.stream(done=False)
        else:
            body = {"model": "gpt-3.5-turbo-instruct", "prompt": in_text(done=False), "stream": True}
            got = ask(house.gateway, house.user, "/v1/completions", body)

        assert got.body.endswith(DONE)


class TestMoney:
    @pytest.mark.parametrize("quota", [40, 150, 300])
    def test_a_balance_that_runs_out_ends_the_stream(self, house: House, quota: int) -> None:
        """900 points would be needed; what is held is prompt and a first tranche, as far as the balance goes."""
        house.gateway.operator("option", key="PreConsumedQuota", value="10")
        account = house.gateway.new_user(quota)
        try:
            body = chat("endless", stream=True)
            got = until(lambda: _unless(403, ask(house.gateway, account, PATH, body)), 10)
        finally:
            house.gateway.operator("option", key="PreConsumedQuota", value="500")

        assert json.loads(got.events()[-1])["error"]["code"] == "insufficient_user_quota"
        assert b"[DONE]" not in got.body
        (row,) = house.settled(account)
        assert 0 < row.quota <= quota
        left = house.gateway.books().quota(account.id)
        assert left == quota - row.quota >= 0
        assert house.upstream.wait_idle(10)["cancelled"] >= 1

    def test_a_long_stream_within_the_balance_goes_through(self, house: House) -> None:
        account = house.gateway.new_user(100_000)
        text = "word " * 12_000  # three tranches

        got = ask(house.gateway, account, PATH, chat(MODEL, in_text(text=text, events=600, usage=None), stream=True))

        assert got.body.endswith(DONE)
        (row,) = house.settled(account)
        assert 12_000 <= row.completion_tokens <= 12_001


def _unless(status: int, got: Got) -> Got | None:
    return None if got.status == status else got


def leave(sock: socket.socket) -> None:
    """As a killed process does: a reset instead of a farewell."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


class TestLeaving:
    @pytest.mark.parametrize("read", sorted(random.Random(7).sample(range(1, 9000), 6)))
    def test_at_any_byte_of_a_stream_it_is_cancelled_and_billed_once(
        self, house: House, upstream: FakeUpstream, read: int
    ) -> None:
        account = house.gateway.new_user(PURSE)
        body = json.dumps(chat(MODEL, in_text(text=LONG, events=EVENTS, pace=10), stream=True)).encode()
        with connected(house.gateway) as sock:
            sock.sendall(post(house.gateway, account, body))
            left = read
            while left > 0:
                left -= len(sock.recv(min(left, 512)))
            leave(sock)
        left_at = time.time()

        stats = upstream.wait_idle(10)

        assert (stats["cancelled"], stats["completed"]) == (1, 0)
        assert stats["last_cancelled"] - left_at < 3
        (row,) = house.settled(account)
        assert row.quota > 0
        assert row.estimated
        assert row.completion_tokens <= stats["cancelled_events"][0] + 1

    @pytest.mark.parametrize("stream", [False, True])
    @pytest.mark.parametrize("farewell", ["reset", "close"])
    def test_before_any_answer_the_prompt_is_billed(
        self, house: House, upstream: FakeUpstream, stream: bool, farewell: str
    ) -> None:
        account = house.gateway.new_user(PURSE)
        body = json.dumps(chat(MODEL, in_text(hang=True), stream=stream)).encode()
        with connected(house.gateway) as sock:
            sock.sendall(post(house.gateway, account, body))
            until(lambda: upstream.stats()["open"] == 1)
            leave(sock) if farewell == "reset" else sock.close()
        left_at = time.time()

        stats = upstream.wait_idle(10)

        assert (stats["received"], stats["cancelled"]) == (1, 1)
        assert stats["last_cancelled"] - left_at < 3
        (row,) = house.settled(account)
        assert (row.completion_tokens, row.estimated) == (0, True)
        assert row.prompt_tokens > 5

    def test_before_any_picture_it_is_free(self, house: House, upstream: FakeUpstream) -> None:
        account = house.gateway.new_user(PURSE)
        body = json.dumps({"prompt": in_text(hang=True)}).encode()
        with connected(house.gateway) as sock:
            sock.sendall(post(house.gateway, account, body, "/v1/images/generations"))
            until(lambda: upstream.stats()["open"] == 1)
            leave(sock)
        left_at = time.time()

        stats = upstream.wait_idle(10)

        assert stats["cancelled"] == 1
        assert stats["last_cancelled"] - left_at < 3
        assert house.settled(account) == []

    def test_in_the_middle_of_the_request_nobody_is_called(self, house: House, upstream: FakeUpstream) -> None:
        body = json.dumps(chat(MODEL)).encode()
        with connected(house.gateway) as sock:
            sock.sendall(post(house.gateway, house.user, body)[:-10])
            time.sleep(0.1)
            leave(sock)
        time.sleep(0.2)

        assert upstream.stats()["received"] == 0
        assert ask(house.gateway, house.user, PATH, chat(MODEL)).status == 200

    def test_who_reads_slowly_makes_the_upstream_wait(self, house: House, upstream: FakeUpstream) -> None:
        account = house.gateway.new_user(PURSE)
        before = house.gateway.memory()
        body = json.dumps(chat(MODEL, in_text(events=1, framing="huge", huge=12_000_000), stream=True))
        with connected(house.gateway) as sock:
            sock.sendall(post(house.gateway, account, body.encode()))
            sock.recv(100)
            time.sleep(0.7)
            grown = house.gateway.memory() - before
            got = b""
            while not got.endswith(b"0\r\n\r\n"):
                got = got[-10:] + sock.recv(1_000_000)

        assert grown < 80 * 1024 * 1024  # an event of 12 MB is held a few times over, and no more
        assert house.settled(account)[0].quota == 7

    def test_two_requests_on_one_connection_are_answered_in_order(self, house: House) -> None:
        body = json.dumps(chat(MODEL, in_text(text="first", first_byte=100))).encode()
        other = json.dumps(chat(MODEL, in_text(text="second"))).encode()
        with connected(house.gateway) as sock:
            sock.sendall(post(house.gateway, house.user, body) + post(house.gateway, house.user, other))
            got = b""
            while got.count(b"HTTP/1.1 200") < 2 or b"second" not in got:
                got += sock.recv(65_536)

        assert got.index(b'"first"') < got.index(b'"second"')


def test_an_ordinary_stream_is_as_it_should_be(house: House) -> None:
    got = house.stream()

    chunks = [json.loads(event) for event in got.events()[:-1]]
    assert "".join(c["choices"][0]["delta"].get("content", "") for c in chunks) == TEXT
    assert got.headers["cache-control"] == "no-cache"
    assert got.headers["x-accel-buffering"] == "no"
