"""Upstreams of any protocol that do exactly what a test has written down, over sockets of their own.

A channel's base URL is `stage.url(name)`; what comes below it is answered by the play of that name: pieces of a body
and what happens between them. Nothing is known about protocols here.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import orjson

from tests.upstream.wire import Connection, Reply, Request, Stats

SSE, NDJSON, JSON = "text/event-stream", "application/x-ndjson", "application/json"
HANG, DROP = "hang", "drop"  # wait until the caller leaves; break the connection off
Step = bytes | float | str  # a piece, seconds to wait, or one of the two above


@dataclass(slots=True)
class Play:
    """One answer. What ends without DROP or HANG ends as HTTP has it."""

    steps: Sequence[Step]
    kind: str = SSE
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class Stage:
    stats: Stats = field(default_factory=Stats)
    seen: list[tuple[str, Request]] = field(default_factory=list)  # (name of the play, request)
    address: str = ""
    _plays: dict[str, list[Play]] = field(default_factory=dict)

    def url(self, name: str) -> str:
        return f"{self.address}/{name}"

    def set(self, **plays: Play | list[Play]) -> None:
        """From now on: one play for all calls of a name, or one after the other, the last one again and again."""
        self.seen.clear()
        self._plays = {name: play if isinstance(play, list) else [play] for name, play in plays.items()}

    @property
    def called(self) -> list[str]:
        return [name for name, _ in self.seen]

    def asked(self, name: str) -> Any:
        """The body of the last request to this name."""
        return orjson.loads(next(request.body for who, request in reversed(self.seen) if who == name))

    async def answer(self, reply: Reply, request: Request) -> None:
        name = request.target.split("/")[1]
        self.seen.append((name, request))
        waiting = self._plays[name]
        await self.perform(waiting.pop(0) if len(waiting) > 1 else waiting[0], reply)

    async def perform(self, play: Play, reply: Reply) -> None:
        reply.head(play.status, {"Content-Type": play.kind, "Transfer-Encoding": "chunked", **play.headers})
        for step in play.steps:
            if isinstance(step, bytes):
                for start in range(0, len(step), 1 << 20):
                    reply.chunk(step[start : start + (1 << 20)])
                    await asyncio.sleep(0)
                reply.events += 1
            elif step == DROP:
                await asyncio.sleep(0.02)
                reply.drop()
            else:
                await asyncio.sleep(step if isinstance(step, float) else 3600)
        reply.last_chunk()


@contextmanager
def opened(stage: Stage | None = None) -> Iterator[Stage]:
    """In a thread with a loop of its own."""
    stage = stage or Stage()
    ready, done = threading.Event(), threading.Event()

    async def serve() -> None:
        connections: list[Connection] = []

        def connected() -> Connection:
            connections.append(Connection(stage.answer, stage.stats, time.time))
            return connections[-1]

        server = await asyncio.get_running_loop().create_server(connected, "127.0.0.1", 0)
        stage.address = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        ready.set()
        await asyncio.to_thread(done.wait)
        server.close()
        for connection in connections:
            connection.transport.close()

    with ThreadPoolExecutor(1) as thread:
        serving = thread.submit(asyncio.run, serve())
        try:
            assert ready.wait(10), serving
            yield stage
        finally:
            done.set()
