"""One keep-alive connection that asks and is answered, one call at a time. Answers must have a Content-Length."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import cast


class Lane(asyncio.Protocol):
    """`answered(lane, well)`: a whole answer is there, well if it is a 200. `broken(lane)`: the connection is gone."""

    def __init__(self, answered: Callable[[Lane, bool], None], broken: Callable[[Lane], None]) -> None:
        self._answered, self._broken = answered, broken
        self._buffer = b""
        self._wanted = 0  # bytes of the answer, its head included; 0 while the head is not whole

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def connection_lost(self, error: Exception | None) -> None:
        self._broken(self)

    def send(self, request: bytes) -> None:
        self._transport.write(request)

    def close(self) -> None:
        self._transport.close()

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        if not self._wanted:
            end = self._buffer.find(b"\r\n\r\n")
            if end < 0:
                return
            head = self._buffer[:end].lower()
            length = head.partition(b"content-length:")[2].partition(b"\r\n")[0]
            self._wanted = end + 4 + int(length)
        if len(self._buffer) < self._wanted:
            return
        well = self._buffer.startswith(b"HTTP/1.1 200")
        self._buffer, self._wanted = b"", 0
        self._answered(self, well)
