"""Calls of the relay that a page makes for the person in front of it: in this process, billed as any call.

The switchboard (config/asgi.py) puts a `Door` into the scope of every request to Django. A view either hands the
request over, and the relay answers the browser itself once the view is done (a stream then holds no thread and no
database connection), or it waits for the whole answer. The API key never leaves the server.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from asgiref.sync import async_to_sync
from django.http import HttpRequest

Message = dict[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[dict[str, Any], Receive, Send], Awaitable[None]]

SCOPE = "one_api.door"
# What of the browser's head the relay hears of: whence it came, and with what. No cookie, and no origin, which would
# make the answer one for other sites.
PASSED = frozenset({b"host", b"user-agent", b"x-forwarded-for", b"x-real-ip", b"x-forwarded-proto", b"accept"})
KEPT = frozenset({b"x-content-type-options", b"content-security-policy", b"referrer-policy", b"cache-control"})


@dataclass(frozen=True, slots=True)
class Call:
    """`key` with `sk-` and perhaps a channel after it; `body` is JSON."""

    path: str
    key: str = field(repr=False)
    body: bytes


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole one. `headers`: names in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes


class NoDoor(RuntimeError):
    """The server was not started by this project's ASGI application."""


class Door:
    """Between one request to Django and the relay. `handed` is what the view handed over, if it did."""

    def __init__(self, relay: App, scope: dict[str, Any]) -> None:
        self._relay = relay
        self._scope = scope
        self._headers: list[tuple[bytes, bytes]] = []  # of the view's answer, that also hold for the relay's
        self.handed: Call | None = None

    def hand_over(self, call: Call) -> None:
        """The view's own answer is dropped but for its protective headers."""
        self.handed = call

    def ask(self, call: Call) -> Answer:
        """From the thread of a view: the whole answer. A stream is gathered to its end."""
        return async_to_sync(self._asked)(call)

    def guarding(self, send: Send) -> Send:
        """A `send` for Django that holds back the answer of a view which handed over."""

        async def guarded(message: Message) -> None:
            if self.handed is None:
                await send(message)
            elif message["type"] == "http.response.start":
                self._headers = [(name, value) for name, value in message["headers"] if name.lower() in KEPT]

        return guarded

    async def go_through(self, receive: Receive, send: Send) -> None:
        """Let the relay answer the browser, if that was asked for."""
        if self.handed is None:
            return

        async def protected(message: Message) -> None:
            if message["type"] == "http.response.start":
                told = {name.lower() for name, _value in message["headers"]}
                added = [header for header in self._headers if header[0].lower() not in told]
                message = {**message, "headers": [*message["headers"], *added]}
            await send(message)

        await self._relay(self._scope_of(self.handed), _given(self.handed.body, receive), protected)

    async def _asked(self, call: Call) -> Answer:
        parts: list[bytes] = []
        head: Message = {}

        async def gather(message: Message) -> None:
            if message["type"] == "http.response.start":
                head.update(message)
            else:
                parts.append(message.get("body", b""))

        await self._relay(self._scope_of(call), _given(call.body, _nothing_more), gather)
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in head["headers"]}
        return Answer(head["status"], headers, b"".join(parts))

    def _scope_of(self, call: Call) -> dict[str, Any]:
        headers = [(name, value) for name, value in self._scope["headers"] if name in PASSED]
        headers += [
            (b"authorization", f"Bearer {call.key}".encode()),
            (b"content-type", b"application/json"),
            (b"content-length", str(len(call.body)).encode()),
        ]
        changed = {"method": "POST", "path": call.path, "raw_path": call.path.encode(), "query_string": b""}
        # No extension either: an answer has to come through `send`, where it is protected or gathered.
        return {**self._scope, **changed, "headers": headers, "extensions": {}}


def door_of(request: HttpRequest) -> Door:
    """Raises NoDoor."""
    door = getattr(request, "scope", {}).get(SCOPE)
    if not isinstance(door, Door):
        raise NoDoor
    return door


def _given(body: bytes, then: Receive) -> Receive:
    given = False

    async def receive() -> Message:
        nonlocal given
        if given:
            return await then()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return receive


async def _nothing_more() -> Message:
    """Nobody can leave: the view waits."""
    await asyncio.Event().wait()
    raise AssertionError("an event that nobody sets")
