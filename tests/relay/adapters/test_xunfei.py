"""Spark (https://www.xfyun.cn/doc/spark/Web.html), over a real WebSocket on loopback."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from email.utils import parsedate_to_datetime
from typing import Any

import orjson
import pytest
from websockets.asyncio.server import ServerConnection, serve
from websockets.http11 import Request as Handshake
from websockets.http11 import Response

from billing.pricing import Usage
from relay.adapters.base import Job
from relay.adapters.xunfei.adapter import Xunfei
from relay.adapters.xunfei.request import path_of, version_of
from relay.adapters.xunfei.signing import signed_url
from relay.dialing import Dialer
from relay.errors import BadRequest, UpstreamError, UpstreamTimeout, UpstreamUnreachable
from relay.neutral.events import Counted, Event, Failed, FinishReason, ThoughtPiece, fold
from relay.neutral.request import Chat, Json, Request, Text, Tool, ToolCall, ToolChoice, ToolResult, Turn
from tests.relay.adapters.vendors import HELLO, IMAGE, WEATHER, Answers, job_for
from tests.relay.test_transport import authority, http_proxy, socks
from tests.relay.wire.cases import load

KEY = "app|secret|key"
NOW = 1_683_283_419.0  # Fri, 05 May 2023 10:43:39 GMT
ADAPTER = Xunfei(clock=lambda: NOW)
Talk = Callable[[ServerConnection], Awaitable[None]]


def job(request: Request, model: str = "Spark-Lite", key: str = KEY, **config: str) -> Job:
    return job_for(18, key, request, model, dict(config))


def frame(status: int, *texts: Json, code: int = 0, message: str = "Success", **payload: object) -> str:
    document = {
        "header": {"code": code, "message": message, "sid": "cht1", "status": status},
        "payload": {"choices": {"status": status, "text": list(texts)}, **payload},
    }
    return orjson.dumps(document).decode()


def usage(prompt: int, completion: int) -> Json:
    return {"text": {"prompt_tokens": prompt, "completion_tokens": completion}}


@asynccontextmanager
async def spark(talk: Talk, **options: Any) -> AsyncIterator[str]:
    """The address of a server that talks so."""
    scheme = "wss" if "ssl" in options else "ws"
    async with serve(talk, "127.0.0.1", 0, **options) as server:
        yield f"{scheme}://127.0.0.1:{next(iter(server.sockets)).getsockname()[1]}"


def saying(*frames: str, heard: list[str] | None = None) -> Talk:
    async def talk(connection: ServerConnection) -> None:
        message = await connection.recv()
        if heard is not None:
            assert isinstance(message, str)
            heard.append(message)
        for each in frames:
            await connection.send(each)

    return talk


async def ask(address: str, request: Chat, **channel: Any) -> list[Event]:
    """The events of a stream, read as they come."""
    asked = job(request, base_url=address)
    asked.route = replace(asked.route, **channel)
    answer = await ADAPTER.open(asked, Answers())
    try:
        if answer.status != 200:
            raise ADAPTER.failure(answer.status, await answer.read(1 << 20), answer.retry_after)
        reader = ADAPTER.reader(asked)
        events = [event async for chunk in answer.chunks() for event in reader.feed(chunk)]
        return events + reader.close()
    finally:
        answer.close()


# --- the address ----------------------------------------------------------------------------------------------------


def test_the_signature_is_that_of_the_vector() -> None:
    signing = load("xunfei_stream")["signing"]
    now = parsedate_to_datetime(signing["date"]).timestamp()

    made = signed_url("wss://spark-api.xf-yun.com/v1.1/chat", signing["api_key"], signing["api_secret"], now)

    assert made == signing["url"]


@pytest.mark.parametrize(
    ("model", "configured", "path", "domain"),
    [
        ("Spark-Lite", "", "/v1.1/chat", "lite"),
        ("Spark-Pro", "", "/v3.1/chat", "generalv3"),
        ("Spark-Pro-128K", "v2.1", "/chat/pro-128k", "pro-128k"),
        ("Spark-Max", "", "/v3.5/chat", "generalv3.5"),
        ("Spark-Max-32K", "", "/chat/max-32k", "max-32k"),
        ("Spark-4.0-Ultra", "", "/v4.0/chat", "4.0Ultra"),
        ("SparkDesk-v3.5", "v1.1", "/v3.5/chat", "generalv3.5"),
        ("SparkDesk-v9", "", "/v9/chat", "generalv9"),
        ("SparkDesk", "v2.1", "/v2.1/chat", "generalv2"),
        ("SparkDesk", "", "/v1.1/chat", "lite"),
    ],
)
async def test_a_models_name_means_a_version(model: str, configured: str, path: str, domain: str) -> None:
    outgoing = await ADAPTER.prepare(job(Chat(HELLO), model, api_version=configured), Answers())

    assert outgoing.url.startswith(f"wss://spark-api.xf-yun.com{path}?authorization=")
    assert orjson.loads(outgoing.body)["parameter"]["chat"]["domain"] == domain
    assert path_of(version_of(model, {"api_version": configured})) == path


async def test_a_key_of_two_parts_is_the_channels_mistake() -> None:
    with pytest.raises(UpstreamError, match=r"APPID\|APISecret\|APIKey"):
        await ADAPTER.prepare(job(Chat(HELLO), key="one|two"), Answers())


# --- the message ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("chat", "members"),
    [
        (Chat(HELLO), {"domain": "lite"}),
        (Chat(HELLO, temperature=0.0), {"domain": "lite", "temperature": 0.01}),
        (Chat(HELLO, top_k=40), {"domain": "lite", "top_k": 6}),
        (Chat(HELLO, n=1, max_tokens=9), {"domain": "lite", "max_tokens": 9}),
    ],
)
async def test_what_is_asked_keeps_to_the_upstreams_bounds(chat: Chat, members: Json) -> None:
    body = orjson.loads((await ADAPTER.prepare(job(chat), Answers())).body)

    assert body["parameter"]["chat"] == members
    assert "functions" not in body["payload"]


async def test_tools_are_functions_and_their_history_is_told_in_words() -> None:
    turns = [
        *HELLO,
        Turn("assistant", [Text("Let me see."), ToolCall("c", "get_weather", '{"city":"Oslo"}')]),
        Turn("user", [ToolResult("c", "get_weather", [Text("4 C")]), Text("so?")]),
    ]

    outgoing = await ADAPTER.prepare(job(Chat(turns, system=[Text("s")], tools=[WEATHER], user="u" * 40)), Answers())

    body = orjson.loads(outgoing.body)
    assert body["header"] == {"app_id": "app", "uid": "u" * 32}
    assert [function["name"] for function in body["payload"]["functions"]["text"]] == ["get_weather"]
    assert body["payload"]["message"]["text"] == [
        {"role": "system", "content": "s"},
        {"role": "user", "content": "Hi"},
        {
            "role": "assistant",
            "content": 'Let me see.\n{"name":"get_weather","arguments":"{\\"city\\":\\"Oslo\\"}"}',
        },
        {"role": "user", "content": "get_weather: 4 C\nso?"},
    ]


@pytest.mark.parametrize(
    "request_",
    [
        Chat(HELLO, n=2),
        Chat([Turn("user", [IMAGE])]),
        Chat([Turn("user", [ToolResult("c", "t", [IMAGE])])]),
        Chat(HELLO, tools=[Tool("a")], tool_choice=ToolChoice("required")),
    ],
)
async def test_what_the_upstream_cannot_do_is_refused_before_any_call(request_: Request) -> None:
    with pytest.raises(BadRequest):
        await ADAPTER.prepare(job(request_), Answers())


# --- frames ---------------------------------------------------------------------------------------------------------


def test_thoughts_and_calls_are_read_from_a_whole_answer() -> None:
    frames = [
        frame(0, {"reasoning_content": "hm"}),
        frame(1, {"content": "Let me see."}),
        frame(2, {"function_call": {"name": "get_weather", "arguments": '{"city":"Oslo"}'}}, usage=usage(5, 3)),
    ]

    events = ADAPTER.read(job(Chat(HELLO)), "\n".join(frames).encode())

    (choice,) = fold(events).choices
    assert ThoughtPiece("hm") in events
    assert choice.text == "Let me see."
    assert [(call.name, call.arguments) for call in choice.calls] == [("get_weather", '{"city":"Oslo"}')]
    assert (choice.finish, fold(events).usage) == (FinishReason.TOOL_CALLS, Usage(5, 3))


@pytest.mark.parametrize(("code", "status", "retry"), [(10013, 400, False), (11202, 429, True), (10110, 503, True)])
def test_an_error_frame_gets_the_status_it_stands_for(code: int, status: int, retry: bool) -> None:
    with pytest.raises(UpstreamError, match="told") as caught:
        ADAPTER.read(job(Chat(HELLO)), frame(2, code=code, message="told").encode())

    error = caught.value
    assert (error.status, error.retry, error.kind) == (status, retry, "xunfei_error")
    assert error.body("r")["error"]["code"] == code


def test_frames_without_a_last_one_are_no_answer() -> None:
    with pytest.raises(UpstreamError):
        ADAPTER.read(job(Chat(HELLO)), frame(0, {"content": "Hi"}).encode())


# --- the socket -----------------------------------------------------------------------------------------------------


async def test_a_conversation_is_one_message_out_and_frames_back() -> None:
    heard: list[str] = []
    frames = [frame(0, {"content": "Hi"}), frame(1, {"content": " there"}), frame(2, usage=usage(5, 3))]

    async with spark(saying(*frames, heard=heard)) as address:
        events = await ask(address, Chat(HELLO, stream=True))

    (choice,) = fold(events).choices
    assert (choice.text, choice.finish) == ("Hi there", FinishReason.STOP)
    assert Counted(Usage(5, 3)) in events
    assert [orjson.loads(message)["header"] for message in heard] == [{"app_id": "app"}]


async def test_a_whole_answer_is_its_frames_together() -> None:
    async with spark(saying(frame(0, {"content": "Hi"}), frame(2, {"content": "!"}))) as address:
        asked = job(Chat(HELLO), base_url=address)
        answer = await ADAPTER.open(asked, Answers())
        body = await answer.read(1 << 20)
        answer.close()

    assert answer.sent
    assert fold(ADAPTER.read(asked, body)).choices[0].text == "Hi!"


async def test_a_channels_address_may_be_written_as_that_of_a_web_server() -> None:
    async with spark(saying(frame(2, {"content": "Hi"}))) as address:
        events = await ask(address.replace("ws://", "http://"), Chat(HELLO, stream=True))

    assert fold(events).choices[0].text == "Hi"


async def test_a_frame_may_come_in_fragments_with_line_breaks_and_pings_between() -> None:
    async def talk(connection: ServerConnection) -> None:
        await connection.recv()
        text = frame(2, {"content": "Hi"}).replace(",", ",\n")

        async def fragments() -> AsyncIterator[str]:
            for place in range(0, len(text), 7):
                yield text[place : place + 7]

        await (await connection.ping())
        await connection.send(fragments())

    async with spark(talk) as address:
        events = await ask(address, Chat(HELLO, stream=True))

    assert fold(events).choices[0].text == "Hi"


async def test_an_upstream_is_made_to_wait_for_who_reads_slowly_and_goes_on_then() -> None:
    """30 MB: more than all buffers on the way hold."""
    told: list[str] = []

    async def talk(connection: ServerConnection) -> None:
        await connection.recv()
        for _ in range(300):
            await connection.send(frame(1, {"content": "x" * 100_000}))
        await connection.send(frame(2))
        told.append("everything")

    async with spark(talk) as address:
        asked = job(Chat(HELLO, stream=True), base_url=address)
        answer = await ADAPTER.open(asked, Answers())
        await asyncio.sleep(0.2)
        told_unread = list(told)
        body = await answer.read(1 << 30)
        answer.close()

    assert told_unread == []
    assert len(fold(ADAPTER.read(asked, body)).choices[0].text) == 30_000_000


@pytest.mark.parametrize(("status", "message"), [(401, "HMAC signature cannot be verified"), (403, "forbidden")])
async def test_a_refused_handshake_is_an_answer_with_its_own_status(status: int, message: str) -> None:
    def refuse(connection: ServerConnection, request: Handshake) -> Response:
        response = connection.respond(status, orjson.dumps({"message": message}).decode())
        del response.headers["Content-Type"]
        return response

    async with spark(saying(), process_request=refuse) as address:
        with pytest.raises(UpstreamError) as caught:
            await ask(address, Chat(HELLO))

    assert (caught.value.status, caught.value.answered, caught.value.message) == (status, status, message)


async def test_nothing_is_sent_to_an_address_where_nobody_listens() -> None:
    async with spark(saying()) as address:
        pass
    adapter_job = job(Chat(HELLO), base_url=address)

    with pytest.raises(UpstreamUnreachable) as caught:
        await ADAPTER.open(adapter_job, Answers())

    assert "127.0.0.1" not in caught.value.message


@pytest.mark.parametrize("last", [frame(2, {"content": "Hi"}), frame(1, code=10_110, message="busy")])
async def test_after_the_last_frame_nothing_is_waited_for(last: str, settings: Any) -> None:
    settings.RELAY_IDLE_TIMEOUT = settings.RELAY_FIRST_BYTE_TIMEOUT = 3

    async def stay(connection: ServerConnection) -> None:
        await connection.recv()
        await connection.send(last)
        await connection.wait_closed()

    async with spark(stay) as address:
        asked = job(Chat(HELLO), base_url=address)
        answer = await ADAPTER.open(asked, Answers())
        body = await answer.read(1 << 20)
        answer.close()

    assert orjson.loads(body) == orjson.loads(last)


async def test_a_connection_that_breaks_is_told_from_one_that_is_closed() -> None:
    async def vanish(connection: ServerConnection) -> None:
        await connection.recv()
        await connection.send(frame(0, {"content": "Hi"}))
        connection.transport.abort()

    async with spark(vanish) as address:
        with pytest.raises(UpstreamUnreachable):
            await ask(address, Chat(HELLO, stream=True))
    async with spark(saying(frame(0, {"content": "Hi"}))) as address:
        events = await ask(address, Chat(HELLO, stream=True))

    assert isinstance(events[-1], Failed)  # closed in order, but before its last frame


async def test_an_upstream_that_falls_silent_is_given_up(settings: Any) -> None:
    settings.RELAY_IDLE_TIMEOUT = 0.05

    async def stall(connection: ServerConnection) -> None:
        await connection.recv()
        await connection.send(frame(0, {"content": "Hi"}))
        await connection.wait_closed()

    async with spark(stall) as address:
        with pytest.raises(UpstreamTimeout):
            await ask(address, Chat(HELLO, stream=True))


async def test_an_upstream_that_never_answers_is_given_up(settings: Any) -> None:
    settings.RELAY_FIRST_BYTE_TIMEOUT = 0.05

    async def listen(connection: ServerConnection) -> None:
        await connection.wait_closed()

    async with spark(listen) as address:
        with pytest.raises(UpstreamTimeout):
            await ask(address, Chat(HELLO, stream=True))


async def test_who_leaves_early_says_farewell() -> None:
    closed: list[int | None] = []

    async def talk(connection: ServerConnection) -> None:
        await connection.recv()
        await connection.send(frame(0, {"content": "Hi"}))
        await connection.wait_closed()
        closed.append(connection.close_code)

    async with spark(talk) as address:
        answer = await ADAPTER.open(job(Chat(HELLO, stream=True), base_url=address), Answers())
        async for _ in answer.chunks():
            break
        answer.close()

    assert closed == [1000]


async def test_tls_is_verified(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    trusted, context = authority(tmp_path)

    async with spark(saying(frame(2, {"content": "Hi"})), ssl=context) as address:
        with pytest.raises(UpstreamUnreachable):
            await ask(address, Chat(HELLO))
        monkeypatch.setenv("SSL_CERT_FILE", str(trusted))
        monkeypatch.setattr("relay.websocket._dialer", Dialer)
        events = await ask(address, Chat(HELLO, stream=True))

    assert fold(events).choices[0].text == "Hi"


async def test_the_channels_proxy_is_used(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    trusted, context = authority(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(trusted))
    monkeypatch.setattr("relay.websocket._dialer", Dialer)
    talk = saying(frame(2, {"content": "Hi"}))

    async with spark(talk, ssl=context) as address, http_proxy() as proxy:
        events = await ask(address, Chat(HELLO, stream=True), proxy=f"http://127.0.0.1:{proxy.port}")
        tunnelled = list(proxy.asked)
    async with spark(talk) as address, socks() as proxy:
        more = await ask(address, Chat(HELLO, stream=True), proxy=f"socks5://127.0.0.1:{proxy.port}")

    assert [fold(each).choices[0].text for each in (events, more)] == ["Hi", "Hi"]
    assert [request.split(b" ")[0] for request in tunnelled] == [b"CONNECT"]
    assert [asked[2] for asked in proxy.asked] == ["127.0.0.1"]


async def test_an_address_without_tls_has_no_way_through_an_http_proxy() -> None:
    with pytest.raises(UpstreamUnreachable):
        await ask("ws://127.0.0.1:9", Chat(HELLO), proxy="http://127.0.0.1:9")
