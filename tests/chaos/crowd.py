"""Callers with bad manners: those who read slowly, and those who leave at any byte."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

PIECE = 512  # bytes a slow reader takes at a time
PATIENCE = 240.0  # seconds; a thousand of them on two cores that others use


@dataclass(slots=True)
class Visit:
    """What one of them got: the answer's first bytes, and how many bytes before leaving or the end."""

    head: bytes = b""
    size: int = 0
    ended: bool = False  # the answer's last byte was read

    @property
    def request_id(self) -> str:
        found = re.search(rb"x-oneapi-request-id: (\S+)\r\n", self.head, re.IGNORECASE)
        return found[1].decode() if found else ""


async def visit(url: str, key: str, body: dict[str, Any], *, leave_after: int, pause: float = 0.0) -> Visit:
    """One call: read, `pause` seconds between two pieces, and leave without a word after so many bytes."""
    address = urlsplit(url)
    seen = Visit()
    reader, writer = await asyncio.open_connection(address.hostname, address.port, limit=PIECE)
    try:
        content = json.dumps(body).encode()
        head = (
            f"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer sk-{key}\r\nConnection: close\r\n"
        )
        writer.write(head.encode() + b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(content))
        writer.write(content)
        while seen.size < leave_after:
            data = await reader.read(min(PIECE, leave_after - seen.size))
            if not data:
                seen.ended = True
                break
            seen.size += len(data)
            if len(seen.head) < PIECE:
                seen.head += data
            if pause:
                await asyncio.sleep(pause)
    finally:
        writer.transport.abort()
    return seen


async def all_at_once(visits: Sequence[Awaitable[Visit]]) -> list[Visit]:
    async with asyncio.timeout(PATIENCE):
        return list(await asyncio.gather(*visits))
