"""Shared by the tests of vendors' own protocols: an outside that answers from a list, and a stream's events."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import orjson

from relay.adapters.base import Adapter, Job, Outgoing, UpstreamAnswer
from relay.errors import BadRequest
from relay.neutral.events import Event
from relay.neutral.request import Media, Request, Text, Tool, Turn
from tests.relay.wire.cases import FakeAnswer, Json, route

PIXEL = "iVBORw0KGgo="
HELLO = [Turn("user", [Text("Hi")])]
WEATHER = Tool("get_weather", "Look up the weather.", {"type": "object", "properties": {"city": {"type": "string"}}})
IMAGE = Media("image", data=PIXEL, mime="image/png")


@dataclass
class Answers:
    """Each request gets the next answer, a document with a status; `asked` keeps the requests.

    A credential is kept by its key, as the worker keeps it. Media at an address that holds "gone" cannot be fetched.
    """

    answers: list[tuple[int, Json]] = field(default_factory=list)
    asked: list[Outgoing] = field(default_factory=list)
    tokens: dict[str, str] = field(default_factory=dict)

    async def fetch_json(self, outgoing: Outgoing, limit: int = 1024 * 1024) -> tuple[int, bytes]:
        self.asked.append(outgoing)
        status, document = self.answers.pop(0)
        return status, orjson.dumps(document)

    async def token(self, key: str, get: Callable[[], Awaitable[tuple[str, float]]]) -> str:
        if key not in self.tokens:
            self.tokens[key] = (await get())[0]
        return self.tokens[key]

    async def media(self, media: Media) -> Media:
        if "gone" in media.url:
            raise BadRequest("not there")
        return Media(media.kind, data=PIXEL, mime="image/png")

    def send(self, outgoing: Outgoing) -> UpstreamAnswer:
        self.asked.append(outgoing)
        status, document = self.answers.pop(0)
        return FakeAnswer(status, orjson.dumps(document), {"content-type": "application/json; charset=utf-8"})


def job_for(kind: int, key: str, request: Request, model: str, config: Json | None = None) -> Job:
    return Job(route(kind, key, config), model, model, request)


def sse(*documents: Any) -> bytes:
    """A stream of server-sent events, one a document; texts go as they are."""
    payloads = [document.encode() if isinstance(document, str) else orjson.dumps(document) for document in documents]
    return b"".join(b"data: " + payload + b"\n\n" for payload in payloads)


def read_stream(adapter: Adapter, job: Job, stream: bytes) -> list[Event]:
    reader = adapter.reader(job)
    return [*reader.feed(stream), *reader.close()]
