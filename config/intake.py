"""Bodies on their way to Django: read whole before a thread is taken, and never more than fits.

Django itself would spool a body without end to disk before any view could refuse it, and a caller who sends one byte
a second would hold a thread and a database connection meanwhile.
"""

from __future__ import annotations

import json

from api.messages import BODY_TOO_LARGE
from api.messages_en import asks_for_english, english
from relay.asgi import Message, Receive, Scope, Send

MOST_BODY = 16 * 1024 * 1024  # bytes; /api itself takes less, uploads of the console no more


class CallerGone(Exception):
    """The caller left before its request was complete."""


def announced(scope: Scope) -> int:
    """Bytes the body is said to have, 0 where nothing is said."""
    length = dict(scope["headers"]).get(b"content-length", b"")
    return int(length) if length.isdigit() else 0


async def read(receive: Receive) -> bytes | None:
    """The whole body, None when it is larger than MOST_BODY. Raises CallerGone."""
    parts: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise CallerGone
        part = message.get("body", b"")
        size += len(part)
        if size > MOST_BODY:
            return None
        parts.append(part)
        if not message.get("more_body"):
            return b"".join(parts)


def replay(body: bytes, receive: Receive) -> Receive:
    """A `receive` that hands out the body read before, and then what the caller does next (leave, usually)."""
    given = False

    async def receive_again() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return receive_again


async def refuse(scope: Scope, send: Send) -> None:
    """413 in the envelope of /api: the contract's literal, or English for a caller who asks for it."""
    language = dict(scope["headers"]).get(b"accept-language", b"").decode("latin-1")
    text = english(BODY_TOO_LARGE) if asks_for_english(language) else BODY_TOO_LARGE
    body = json.dumps({"success": False, "message": text}, ensure_ascii=False).encode()
    headers = [
        (b"content-type", b"application/json; charset=utf-8"),
        (b"content-length", str(len(body)).encode()),
        (b"connection", b"close"),
    ]
    await send({"type": "http.response.start", "status": 413, "headers": headers})
    await send({"type": "http.response.body", "body": body})
