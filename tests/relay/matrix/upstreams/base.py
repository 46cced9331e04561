"""What all upstreams of the matrix share: a port of their own, and the order of an answer."""

from __future__ import annotations

import asyncio
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

import orjson

from tests.relay.matrix.scenes import WAIT, Figures, Heard, Json, Refused, Said, Scene, play
from tests.upstream.wire import Connection, Reply, Request, Stats

JSON, SSE = "application/json", "text/event-stream"


@dataclass(slots=True)
class Answer:
    """`body` in pieces is a stream; `dropped`: the connection breaks after its last piece."""

    body: bytes | list[bytes]
    kind: str = JSON
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    dropped: bool = False


class Upstream(ABC):
    """One provider. `tells`: the parts of the tokens its protocol counts apart (names of `Figures`)."""

    name: str
    channel_type: int
    key: str
    models: Mapping[Scene | None, str]  # None: for every other scene
    others: tuple[str, ...] = ()  # models that do not chat
    tells: frozenset[str] = frozenset({"cached", "reasoning"})
    stream_kind = SSE

    def __init__(self) -> None:
        self.violations: list[str] = []  # what the gateway asked against the protocol's rules
        self.url = ""

    def settings(self) -> Mapping[str, str]:
        """The channel's `config`. Asked for when the upstream has its address."""
        return {}

    def model(self, scene: Scene) -> str:
        return self.models.get(scene, self.models[None])

    def told(self, figures: Figures) -> Figures:
        """As far as the protocol can say it."""
        apart = {
            name: getattr(figures, name) if name in self.tells else 0 for name in ("cached", "written", "reasoning")
        }
        return Figures(figures.prompt, figures.completion, **apart)

    def respond(self, request: Request) -> Answer:
        try:
            heard = self.hear(request)
            said = play(heard)
        except Refused as refused:
            if not refused.scripted:
                self.violations.append(f"{refused.message}\n{request.body.decode(errors='replace')[:3000]}")
            answer = self.refusal(refused)
            wait = {"Retry-After": str(WAIT)} if refused.status == 429 else {}
            return Answer(answer.body, answer.kind, refused.status, {**answer.headers, **wait})
        if not heard.stream:
            return self.whole(heard, said)
        pieces = list(self.pieces(heard, said))
        if said.ending is None:
            return Answer(pieces, self.stream_kind)
        begun = pieces[: 1 + next(place for place, piece in enumerate(pieces) if b"Hello" in piece)]
        if said.ending is Scene.FAILS:
            return Answer([*begun, self.midway()], self.stream_kind)
        return Answer(begun, self.stream_kind, dropped=True)

    @abstractmethod
    def hear(self, request: Request) -> Heard:
        """The request, held against the protocol. Raises Refused."""

    @abstractmethod
    def whole(self, heard: Heard, said: Said) -> Answer:
        """The answer in one piece."""

    @abstractmethod
    def pieces(self, heard: Heard, said: Said) -> Iterator[bytes]:
        """The answer as a stream, whole to its end."""

    @abstractmethod
    def midway(self) -> bytes:
        """How the protocol reports an error within a stream."""

    @abstractmethod
    def refusal(self, refused: Refused) -> Answer:
        """An error in the vendor's shape."""


def body_of(request: Request) -> Json:
    """Raises Refused: no JSON object."""
    try:
        body = orjson.loads(request.body)
    except orjson.JSONDecodeError as error:
        raise Refused(f"the body is not JSON: {error}") from None
    if not isinstance(body, dict):
        raise Refused("the body is no object")
    return body


def path_of(request: Request) -> str:
    return request.target.partition("?")[0]


def credential(request: Request, header: str, value: str) -> None:
    """Raises Refused with 401."""
    if request.headers.get(header) != value:
        raise Refused(f"{header} is {request.headers.get(header)!r}", 401)


def addressed(request: Request, expected: str) -> None:
    """Raises Refused with 404: no such address, `expected` with its query."""
    if request.method != "POST" or request.target != expected:
        raise Refused(f"nothing at {request.method} {request.target}, but at {expected}", 404)


def event(document: Any, name: str = "") -> bytes:
    """A server-sent event."""
    return (f"event: {name}\n".encode() if name else b"") + b"data: " + orjson.dumps(document) + b"\n\n"


def document(answer: Json) -> Answer:
    return Answer(orjson.dumps(answer))


@contextmanager
def running(upstreams: list[Upstream]) -> Iterator[None]:
    """All of them on ports of their own, in one thread with one loop."""
    ready, done = threading.Event(), threading.Event()

    async def serve() -> None:
        async with AsyncExitStack() as stack:
            connections: list[Connection] = []
            for upstream in upstreams:
                await stack.enter_async_context(await _listen(upstream, connections))
            ready.set()
            await asyncio.to_thread(done.wait)
            for connection in connections:
                connection.transport.close()

    with ThreadPoolExecutor(1) as thread:
        serving = thread.submit(asyncio.run, serve())
        try:
            assert ready.wait(10), serving
            yield
        finally:
            done.set()


async def _listen(upstream: Upstream, connections: list[Connection]) -> asyncio.Server:
    def connected() -> Connection:
        connections.append(Connection(serve, Stats(), time.time))
        return connections[-1]

    async def serve(reply: Reply, request: Request) -> None:
        _write(reply, upstream.respond(request))

    loop = asyncio.get_running_loop()
    server = await loop.create_server(connected, "127.0.0.1", 0)
    upstream.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    return server


def _write(reply: Reply, answer: Answer) -> None:
    if isinstance(answer.body, bytes):
        reply.whole(answer.status, answer.kind, answer.body, answer.headers)
        return
    reply.head(answer.status, {"Content-Type": answer.kind, "Transfer-Encoding": "chunked", **answer.headers})
    for piece in answer.body:
        reply.chunk(piece)
    if answer.dropped:
        reply.drop()
    reply.last_chunk()


__all__ = ["Answer", "Upstream", "addressed", "body_of", "credential", "document", "event", "path_of", "running"]
