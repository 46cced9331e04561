"""The bare pass-through floor: read the body, parse it, call the upstream, pass its answer back. No keys, no billing.

What any gateway on this server (uvicorn, uvloop, httptools) has to do at the least. UPSTREAM and STREAM_UPSTREAM are
the addresses it calls; CLIENT says with what: `pyreqwest`, the quickest client to be had, or `own`, the gateway's.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import orjson
from pyreqwest.client import Client, ClientBuilder

from relay.dialing import Dialer, resolve
from relay.transport import Connection, Pool

Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]

HEADERS = [("Authorization", "Bearer sk-upstream"), ("Content-Type", "application/json")]
CONNECT = 10  # seconds
PLAIN, PACED = os.environ["UPSTREAM"], os.environ["STREAM_UPSTREAM"]


class Pyreqwest:
    """By a Rust client: whole answers are read by it, streams are handed on as they come."""

    def __init__(self) -> None:
        builder = ClientBuilder().follow_redirects(False).pool_max_idle_per_host(512).tcp_nodelay(True)
        self._client: Client = builder.build()

    async def whole(self, url: str, body: bytes) -> bytes:
        response = await self._client.post(url).headers(HEADERS).body_bytes(body).build().send()
        return bytes(await response.bytes())

    async def chunks(self, url: str, body: bytes) -> AsyncIterator[bytes]:
        builder = self._client.post(url).headers(HEADERS).body_bytes(body)
        async with builder.streamed_read_buffer_limit(0).build_streamed() as response:
            while (chunk := await response.body_reader.read_chunk()) is not None:
                yield bytes(chunk)


class Own:
    """By the relay's own connections."""

    def __init__(self) -> None:
        self._pool = Pool(Dialer(CONNECT))

    async def whole(self, url: str, body: bytes) -> bytes:
        parts = [chunk async for chunk in self.chunks(url, body)]
        return parts[0] if len(parts) == 1 else b"".join(parts)

    async def chunks(self, url: str, body: bytes) -> AsyncIterator[bytes]:
        target = resolve(url, "")
        lines = [f"POST {target.request_target} HTTP/1.1", f"Host: {target.host_header}"]
        lines += [f"{name}: {value}" for name, value in HEADERS]
        lines += [f"Content-Length: {len(body)}", "", ""]
        connection: Connection = await self._pool.take(target.destination)
        connection.begin("\r\n".join(lines).encode(), body, bodiless=False)
        await connection.head(None)
        while (chunk := await connection.chunk(None)) is not None:
            yield chunk
        self._pool.give_back(target.destination, connection)


class Floor:
    """The ASGI application."""

    def __init__(self) -> None:
        self._client: Pyreqwest | Own | None = None  # made by the first call, when the event loop runs

    async def __call__(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        message = await receive()
        body = message.get("body", b"")
        while message.get("more_body"):
            message = await receive()
            body += message.get("body", b"")
        document = orjson.loads(body)
        client = self._client = self._client or (Own() if os.environ["CLIENT"] == "own" else Pyreqwest())
        if document.get("stream"):
            await self._stream(client.chunks(PACED + scope["path"], body), send)
            return
        answer = await client.whole(PLAIN + scope["path"], body)
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(answer)).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": answer})

    async def _stream(self, chunks: AsyncIterator[bytes], send: Send) -> None:
        headers = [(b"content-type", b"text/event-stream")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        async for chunk in chunks:
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
        await send({"type": "http.response.body", "body": b""})


app = Floor()
