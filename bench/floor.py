"""The bare pass-through floor: read the body, parse it, call the upstream, pass its answer back. No keys, no billing.

What any gateway on this server (uvicorn, uvloop, httptools) and this client (pyreqwest) has to do at the least. UPSTREAM
and STREAM_UPSTREAM are the addresses it calls.
"""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable
from typing import Any

import orjson
from pyreqwest.client import Client, ClientBuilder

UPSTREAM = os.environ["UPSTREAM"]
STREAM_UPSTREAM = os.environ["STREAM_UPSTREAM"]
HEADERS = [("Authorization", "Bearer sk-upstream"), ("Content-Type", "application/json")]

client: Client | None = None


async def app(
    scope: dict[str, Any],
    receive: Callable[[], Awaitable[dict[str, Any]]],
    send: Callable[[dict[str, Any]], Awaitable[None]],
) -> None:
    global client
    message = await receive()
    body = message.get("body", b"")
    while message.get("more_body"):
        message = await receive()
        body += message.get("body", b"")
    document = orjson.loads(body)
    if client is None:
        client = ClientBuilder().follow_redirects(False).pool_max_idle_per_host(512).tcp_nodelay(True).build()
    if document.get("stream"):
        await _stream(client, body, send)
        return
    request = client.post(UPSTREAM + scope["path"]).headers(HEADERS).body_bytes(body).build()
    response = await request.send()
    answer = bytes(await response.bytes())
    await send(
        {
            "type": "http.response.start",
            "status": response.status,
            "headers": [(b"content-type", b"application/json"), (b"content-length", str(len(answer)).encode())],
        }
    )
    await send({"type": "http.response.body", "body": answer})


async def _stream(client: Client, body: bytes, send: Callable[[dict[str, Any]], Awaitable[None]]) -> None:
    builder = client.post(STREAM_UPSTREAM + "/v1/chat/completions").headers(HEADERS).body_bytes(body)
    async with builder.streamed_read_buffer_limit(0).build_streamed() as response:
        await send(
            {
                "type": "http.response.start",
                "status": response.status,
                "headers": [(b"content-type", b"text/event-stream")],
            }
        )
        while (chunk := await response.body_reader.read_chunk()) is not None:
            await send({"type": "http.response.body", "body": bytes(chunk), "more_body": True})
    await send({"type": "http.response.body", "body": b""})
