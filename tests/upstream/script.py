"""What a test tells the provider to do with one request.

A script travels in one of two places, the first wins:

* the path of the channel's base URL, `http://host:port/~<urlsafe base64 of the JSON>`: every call through that channel;
* the request itself, as the JSON text `{"script": {...}}` in the last user message, `prompt` or `input`: that call.

Nothing said is a friendly answer with the usage (PROMPT, COMPLETION).
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from functools import lru_cache
from typing import Any

PROMPT, COMPLETION = 10, 5  # tokens reported where a script says nothing
TEXT = "Hello from the upstream."


class BadScript(ValueError):
    """A test asked for something the provider cannot do; answered with 599 so that it cannot be overlooked."""


@dataclass(frozen=True, slots=True)
class Script:
    """One request's orders. Times are milliseconds, counts are events after the role chunk.

    usage        (prompt, completion), or None for an upstream that never tells
    text         what is said, `times` over; a stream cuts it into `events` pieces
    pace         pause before every content event
    first_byte   pause before the head of the answer
    hang         no answer at all until the caller leaves
    gap_after    after this many events the stream pauses for `gap`
    status       an error status, with `error` as its body and `headers` on top
    error        "openai", "html", "empty", "odd" (no error member), "text" ({"error": "text"}), "message"
                 ({"message": …}), "json" (`body` as it stands)
    error_in_200 the error object under status 200
    error_after  after this many events an error chunk, then the end without [DONE]
    drop_after   after this many events the socket is closed in the middle of the answer
    truncate     a plain answer of which only the first half is sent before the socket closes
    refuses      answers 400 naming `stream_options` when the request carries it
    framing      "plain", "no_space", "comments", "crlf", "multiline", "huge" (one event of `huge` bytes)
    plain        answers a stream request with a JSON completion
    done         whether [DONE] ends the stream
    redirect     301/302 to this address
    gzip         the plain answer is compressed
    """

    usage: tuple[int, int] | None = (PROMPT, COMPLETION)
    text: str = TEXT
    times: int = 1
    events: int = 4
    pace: float = 0
    first_byte: float = 0
    hang: bool = False
    gap_after: int | None = None
    gap: float = 0
    status: int = 200
    error: str = "openai"
    message: str = "The upstream refuses."
    code: str | None = "scripted"
    type: str = "scripted_error"
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)
    error_in_200: bool = False
    error_after: int | None = None
    drop_after: int | None = None
    truncate: bool = False
    refuses: bool = False
    framing: str = "plain"
    huge: int = 200_000
    plain: bool = False
    done: bool = True
    redirect: str = ""
    gzip: bool = False

    def with_orders(self, orders: Mapping[str, Any]) -> Script:
        values = {f.name: getattr(self, f.name) for f in fields(self)}
        if unknown := set(orders) - set(values):
            raise BadScript(f"unknown orders: {', '.join(sorted(unknown))}")
        values.update(orders)
        if values["usage"] is not None:
            values["usage"] = (int(values["usage"][0]), int(values["usage"][1]))
        return Script(**values)

    @property
    def speech(self) -> str:
        return self.text * self.times


PLAIN = Script()


def in_path(**orders: Any) -> str:
    """The path segment, with its leading slash, that gives every call below it these orders."""
    raw = json.dumps(orders, sort_keys=True).encode()
    return "/~" + base64.urlsafe_b64encode(raw).decode().rstrip("=")


def in_text(**orders: Any) -> str:
    """The text of a user message, prompt or input that gives its own call these orders."""
    return json.dumps({"script": orders}, sort_keys=True)


@lru_cache(maxsize=256)
def of_path(segment: str) -> Script:
    """The script of a path segment as `in_path` made it, without the slash."""
    raw = segment.removeprefix("~")
    return PLAIN.with_orders(json.loads(base64.urlsafe_b64decode(raw + "=" * (-len(raw) % 4))))


def of_text(text: object) -> Script:
    """The script of a text that carries one, else the friendly one."""
    if not isinstance(text, str) or '"script"' not in text:
        return PLAIN
    return PLAIN.with_orders(json.loads(text)["script"])


def of_body(body: Mapping[str, Any]) -> Script:
    """The script in a parsed request: last user message, `prompt` or `input`, in this order."""
    messages = body.get("messages")
    if isinstance(messages, list):
        for message in reversed(messages):
            if isinstance(message, dict) and message.get("role") == "user":
                return of_text(said(message.get("content")))
        return PLAIN
    for member in ("prompt", "input"):
        if member in body:
            return of_text(said(body[member]))
    return PLAIN


def said(content: object) -> object:
    """The text of a content: a string, or the first text among parts or inputs."""
    if isinstance(content, list):
        for part in content:
            if isinstance(part, str):
                return part
            if isinstance(part, dict) and isinstance(part.get("text"), str):
                return part["text"]
        return None
    return content
