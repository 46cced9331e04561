"""A provider that breaks the protocol, byte by byte. The word in the last user message chooses how.

Runs on a thread of the test's process; `running` gives its address.
"""

from __future__ import annotations

import asyncio
import json
import queue
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

LINE = 10 * 2**20  # bytes of one event
DRIP = 1.0  # seconds between two bytes
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: %b\r\n"
CHUNKED = HEAD % b"text/event-stream" + b"Transfer-Encoding: chunked\r\n\r\n"


def event(text: str, **members: object) -> bytes:
    choice = {"index": 0, "delta": {"content": text}, "finish_reason": None}
    body = {"id": "x", "object": "chat.completion.chunk", "created": 1, "model": "gpt-4", "choices": [choice]}
    return b"data: " + json.dumps({**body, **members}).encode() + b"\n\n"


def whole(body: bytes, kind: bytes = b"application/json", status: bytes = b"200 OK") -> bytes:
    return b"HTTP/1.1 %b\r\nContent-Type: %b\r\nContent-Length: %d\r\n\r\n%b" % (status, kind, len(body), body)


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


def answer(usage: object) -> bytes:
    message = {"role": "assistant", "content": "Hello."}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    body = {"id": "x", "object": "chat.completion", "created": 1, "model": "gpt-4", "choices": [choice]}
    return whole(json.dumps({**body, "usage": usage}).encode())


def usage(prompt: object, completion: object, total: object) -> bytes:
    return answer({"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": total})


def _words(count: int, pause: float) -> list[bytes | float]:
    return [part for _ in range(count) for part in (chunk(event("word ")), pause)]


FAILURE = b'data: {"error": {"message": "overloaded", "type": "server_error", "code": "x"}}\n\n'
PIECE = b"a" * 2**16

# The parts of each answer: bytes to write, or seconds to wait. After the last one the socket closes.
SCRIPTS: dict[str, list[bytes | float]] = {
    "busy": [whole(b'{"error": {"message": "slow down"}}', status=b"429 Too Many Requests")],
    "broken": [whole(b'{"error": {"message": "sorry"}}', status=b"500 Internal Server Error")],
    "hang": [60.0],
    "reset-before": [],
    "reset": [CHUNKED, *_words(20, 0.005)],
    "half": [usage(8, 2, 10)[:-40]],
    "half-json": [whole(b'{"id": "x", "choices": [{"message": {"role": "assistant", "con')],
    "then-error": [CHUNKED, chunk(event("word ")), chunk(FAILURE), b"0\r\n\r\n"],
    "line": [CHUNKED, b"%x\r\n" % LINE, b"data: ", *[PIECE] * (LINE // len(PIECE))],
    "drip": [CHUNKED, *[part for byte in chunk(event("word "))[:5] for part in (bytes([byte]), DRIP)]],
    "html": [whole(b"<html><body>502 Bad Gateway</body></html>", b"text/html")],
    "negative": [usage(-100_000, -5, -100_005)],
    "wrong": [usage("many", None, [1])],
    "huge": [usage(10**30, 10**30, 2 * 10**30)],
}


async def converse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    word = ""
    with suppress(ConnectionError, asyncio.IncompleteReadError):
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        length = int(head.partition(b"content-length:")[2].split(b"\r\n")[0])
        word = json.loads(await reader.readexactly(length))["messages"][-1]["content"]
        for part in SCRIPTS[word]:
            if isinstance(part, bytes):
                writer.write(part)
                await writer.drain()
            else:
                await asyncio.sleep(part)
    if word.startswith("reset"):
        raw: socket.socket = writer.get_extra_info("socket")
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.transport.abort()
    writer.close()


async def serve(told: queue.SimpleQueue[int], over: asyncio.Event) -> None:
    async with await asyncio.start_server(converse, "127.0.0.1", 0, backlog=1024) as server:
        told.put(server.sockets[0].getsockname()[1])
        await over.wait()


@contextmanager
def running() -> Iterator[str]:
    told: queue.SimpleQueue[int] = queue.SimpleQueue()
    loop, over = asyncio.new_event_loop(), asyncio.Event()
    runner = asyncio.Runner(loop_factory=lambda: loop)  # cancels what is still under way when it is closed
    thread = threading.Thread(target=lambda: runner.run(serve(told, over)), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{told.get(timeout=10)}"
    finally:
        loop.call_soon_threadsafe(over.set)
        thread.join(10)
        runner.close()
