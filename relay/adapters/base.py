"""The interface of an upstream protocol: one file each, one stateless instance each.

A call that has to be translated goes: dialect -> `relay.neutral.request` -> `Adapter.prepare` -> the wire -> `read`
or `reader` -> `relay.neutral.events` -> dialect. Where the upstream speaks the caller's own dialect, bytes are passed
on untouched: then only `native`, and the reader as a listener, are used.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from channels_app.snapshot import Route
from config.weight import too_heavy
from relay import sse
from relay.errors import UpstreamError
from relay.neutral.events import Event, Failed, Pictures, Ranked, Vectors
from relay.neutral.request import Chat, Embeddings, Images, Media, Request, Rerank
from relay.upstream_errors import normalise

TOOL_NAME = re.compile(r"[a-zA-Z0-9_-]+")  # what OpenAI, Anthropic, Bedrock and most others take

Read = list[Event] | Vectors | Ranked | Pictures


@dataclass(slots=True)
class Job:
    """One attempt to translate: what is asked, of which channel, under the upstream's name of the model.

    `asked_model` is the name the caller used. `caller_headers` (lower-case names) are those of the caller's that may
    travel on, such as `anthropic-beta`. Media that the adapter cannot take as a URL (`takes_urls`) are fetched already.
    """

    route: Route
    model: str
    asked_model: str
    request: Request
    caller_headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class Outgoing:
    """An HTTP request to the upstream. `headers` without Host and Content-Length."""

    method: str
    url: str
    headers: list[tuple[str, str]]
    body: bytes


class UpstreamAnswer(Protocol):
    """What `relay.upstream.Answer` offers: open, then read or chunks, then close, always."""

    sent: bool

    @property
    def status(self) -> int: ...
    @property
    def retry_after(self) -> float | None: ...
    async def open(self) -> None:
        """Whatever it raises, it has closed itself."""

    def header(self, name: str) -> str: ...
    def chunks(self) -> AsyncIterator[bytes]: ...
    async def read(self, limit: int) -> bytes: ...
    def close(self) -> None: ...


class Outside(Protocol):
    """What an adapter may reach for beside its one request. Everything keeps to the channel's proxy and time limits."""

    async def fetch_json(self, outgoing: Outgoing, limit: int = 1024 * 1024) -> tuple[int, bytes]:
        """A side call (token exchange, polling): (status, body). Raises UpstreamError."""

    async def token(self, key: str, get: Callable[[], Awaitable[tuple[str, float]]]) -> str:
        """A short-lived credential, kept in this worker. `get`: (token, seconds it lives), run once at a time.

        It is renewed in time before it ends; `key` must tell apart whatever the token depends on.
        """

    async def media(self, media: Media) -> Media:
        """The same with its URL fetched into `data` under the rules for addresses callers name. Raises BadRequest."""

    def send(self, outgoing: Outgoing) -> UpstreamAnswer:
        """The request, not yet sent."""


class Reader(ABC):
    """Reads one stream. `feed` gets the bytes as they come; `close` is called when the upstream ends.

    `over`: the protocol's last word was read, after which nothing comes that matters.
    """

    over = False

    @abstractmethod
    def feed(self, chunk: bytes) -> list[Event]:
        """The events these bytes complete. What cannot be read ends in `Failed`; raises EventTooLong only."""

    @abstractmethod
    def close(self) -> list[Event]:
        """What was left. A stream that ended before its end, as its protocol marks it, yields `Failed`."""


class SseReader(Reader):
    """Reader of a protocol of server-sent events: subclasses read one payload at a time."""

    def __init__(self) -> None:
        self._parser = sse.Parser()
        self.ended = False  # the protocol's own mark of a whole stream was seen

    def feed(self, chunk: bytes) -> list[Event]:
        events: list[Event] = []
        for event in self._parser.feed(chunk):
            if event.data is not None:
                events += self.payload(event.data)
        return events

    def close(self) -> list[Event]:
        last = self._parser.close()
        events = self.payload(last.data) if last is not None and last.data is not None else []
        return events if self.ended else [*events, broken_off()]

    @abstractmethod
    def payload(self, data: bytes) -> list[Event]:
        """One event's data."""


class LinesReader(Reader):
    """Reader of a protocol of one JSON document a line (NDJSON)."""

    LONGEST = sse.MAX_EVENT

    def __init__(self) -> None:
        self._rest: list[bytes] = []  # of the last line; joined once, for a long one comes in hundreds of pieces
        self._size = 0
        self.ended = False

    def feed(self, chunk: bytes) -> list[Event]:
        lines: list[bytes] = []
        if b"\n" in chunk:
            *lines, chunk = b"".join([*self._rest, chunk]).split(b"\n")
            self._rest, self._size = [], 0
        self._rest.append(chunk)
        self._size += len(chunk)
        if self._size > self.LONGEST or any(map(too_heavy, lines)):
            raise sse.EventTooLong
        events: list[Event] = []
        for line in lines:
            if line.strip():
                events += self.line(line)
        return events

    def close(self) -> list[Event]:
        rest, self._rest = b"".join(self._rest), []
        events = self.line(rest) if rest.strip() else []
        return events if self.ended else [*events, broken_off()]

    @abstractmethod
    def line(self, data: bytes) -> list[Event]:
        """One line's document."""


def broken_off() -> Event:
    return Failed(UpstreamError("the upstream broke off its stream", code="stream_broken"))


class Adapter(ABC):
    """One protocol. `requests` are the kinds of request it can translate; others are refused before any call."""

    requests: tuple[type[Request], ...] = (Chat,)
    takes_urls = True  # False: pictures, sounds and files must be given as bytes
    longest_name = 64  # characters of a tool's name
    name_form = TOOL_NAME

    def takes_url(self, url: str) -> bool:
        """Whether media may be named by this address; else they are fetched, and given as bytes."""
        return self.takes_urls

    @abstractmethod
    async def prepare(self, job: Job, outside: Outside) -> Outgoing:
        """The upstream's request. Raises BadRequest: the upstream cannot do what is asked (and says what)."""

    @abstractmethod
    def read(self, job: Job, body: bytes) -> Read:
        """A whole answer, of a request without stream. Raises UpstreamError: no JSON, or an error inside a 200."""

    def reader(self, job: Job) -> Reader:
        """A fresh reader for a stream."""
        raise NotImplementedError(f"{type(self).__name__} has no streams")

    async def open(self, job: Job, outside: Outside) -> UpstreamAnswer:
        """Send the request; back with the answer's head. Protocols that poll or use other transports override it."""
        answer = outside.send(await self.prepare(job, outside))
        await answer.open()
        return answer

    def native(self, job: Job, path: str, query: str) -> tuple[str, list[tuple[str, str]]]:
        """(URL, headers) for a request already in this protocol's dialect. `path` and `query` as the caller sent them.

        `job.request` is not looked at but for its kind; credentials, versions and betas are headers.
        """
        raise NotImplementedError(f"{type(self).__name__} is nobody's native protocol")

    def failure(self, status: int, body: bytes, retry_after: float | None) -> UpstreamError:
        """The upstream's error answer (any status but 200 and 201) as ours. The default reads all usual shapes."""
        return normalise(status, body, retry_after)


__all__ = [
    "Adapter",
    "Chat",
    "Embeddings",
    "Images",
    "Job",
    "LinesReader",
    "Outgoing",
    "Outside",
    "Read",
    "Reader",
    "Rerank",
    "SseReader",
    "UpstreamAnswer",
    "broken_off",
]
