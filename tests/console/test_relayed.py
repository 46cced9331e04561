"""The door between a page and the relay: the key stays inside, the browser gets the relay's answer and nothing else."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.test import RequestFactory

from console.relayed import SCOPE, Call, Door, Message, NoDoor, door_of

CALL = Call("/v1/chat/completions", "sk-secret-key", b'{"model": "m"}')
SCOPE_OF_BROWSER: dict[str, Any] = {
    "type": "http",
    "method": "POST",
    "path": "/playground/call",
    "raw_path": b"/playground/call",
    "query_string": b"x=1",
    "client": ("192.0.2.1", 4711),
    "headers": [
        (b"cookie", b"session=abc"),
        (b"origin", b"https://console.example"),
        (b"authorization", b"Bearer of-the-browser"),
        (b"x-forwarded-for", b"198.51.100.7"),
        (b"content-length", b"999"),
    ],
}


class Relay:
    """Answers with two parts, and remembers what it was asked."""

    def __init__(self) -> None:
        self.scope: dict[str, Any] = {}
        self.body = b""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.scope, self.body = scope, (await receive())["body"]
        headers = [(b"content-type", b"text/event-stream"), (b"cache-control", b"no-cache")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"data: 1\n\n", "more_body": True})
        await send({"type": "http.response.body", "body": b"data: 2\n\n", "more_body": False})


async def answered(door: Door) -> list[Message]:
    """What the browser gets when the view answered with a 204 and a cookie."""
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    async def receive() -> Message:
        return {"type": "http.disconnect"}

    guarded = door.guarding(send)
    headers = [(b"x-content-type-options", b"nosniff"), (b"set-cookie", b"a=b"), (b"cache-control", b"no-store")]
    await guarded({"type": "http.response.start", "status": 204, "headers": headers})
    await guarded({"type": "http.response.body", "body": b""})
    await door.go_through(receive, send)
    return sent


async def test_a_view_that_hands_nothing_over_answers_itself() -> None:
    relay = Relay()

    sent = await answered(Door(relay, SCOPE_OF_BROWSER))

    assert [message.get("status") for message in sent] == [204, None]
    assert relay.scope == {}


async def test_handed_over_the_relay_answers_and_protective_headers_stay() -> None:
    relay = Relay()
    door = Door(relay, SCOPE_OF_BROWSER)
    door.hand_over(CALL)

    start, first, second = await answered(door)

    assert start["status"] == 200
    assert start["headers"] == [
        (b"content-type", b"text/event-stream"),
        (b"cache-control", b"no-cache"),
        (b"x-content-type-options", b"nosniff"),
    ]
    assert (first["body"], second["body"]) == (b"data: 1\n\n", b"data: 2\n\n")


async def test_the_relay_hears_the_key_and_the_address_but_no_cookie_and_no_origin() -> None:
    relay = Relay()
    door = Door(relay, SCOPE_OF_BROWSER)
    door.hand_over(CALL)

    await answered(door)

    assert (relay.scope["method"], relay.scope["path"]) == ("POST", "/v1/chat/completions")
    assert (relay.scope["client"], relay.scope["query_string"]) == (("192.0.2.1", 4711), b"")
    assert relay.scope["headers"] == [
        (b"x-forwarded-for", b"198.51.100.7"),
        (b"authorization", b"Bearer sk-secret-key"),
        (b"content-type", b"application/json"),
        (b"content-length", b"14"),
    ]
    assert relay.body == b'{"model": "m"}'


async def test_a_view_on_a_thread_may_wait_for_the_whole_answer() -> None:
    door = Door(Relay(), SCOPE_OF_BROWSER)

    answer = await asyncio.wait_for(sync_to_async(door.ask)(CALL), 10)

    assert (answer.status, answer.body) == (200, b"data: 1\n\ndata: 2\n\n")
    assert answer.headers["content-type"] == "text/event-stream"


def test_a_key_is_not_part_of_what_is_printed() -> None:
    assert "secret" not in repr(CALL)


def test_other_servers_have_no_door() -> None:
    request = RequestFactory().get("/")

    with pytest.raises(NoDoor):
        door_of(request)
    request.scope = {SCOPE: "something else"}  # type: ignore[attr-defined]
    with pytest.raises(NoDoor):
        door_of(request)
