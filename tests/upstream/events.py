"""The events of a streamed answer and the ways of writing them down (WHATWG HTML, server-sent events)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tests.upstream.answers import CREATED, ID, dumps, error_object, usage_of
from tests.upstream.script import Script

Json = dict[str, Any]
DONE = "[DONE]"


def pieces(text: str, count: int) -> list[str]:
    """The text cut into exactly `count` pieces, none empty where the text is long enough."""
    size, more = divmod(len(text), count)
    cut, at = [], 0
    for i in range(count):
        length = size + (1 if i < more else 0)
        cut.append(text[at : at + length])
        at += length
    return cut


def chat_chunk(model: str, delta: Json, finish: str | None, asked: bool) -> bytes:
    """One chunk. Where usage was asked for every chunk has the member, null but in the last (OpenAI does so)."""
    choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
    chunk = {"id": ID, "object": "chat.completion.chunk", "created": CREATED, "model": model, "choices": [choice]}
    return dumps({**chunk, "usage": None} if asked else chunk)


def completion_chunk(model: str, text: str, finish: str | None, asked: bool) -> bytes:
    choice = {"text": text, "index": 0, "logprobs": None, "finish_reason": finish}
    chunk = {"id": "cmpl-scripted", "object": "text_completion", "created": CREATED, "model": model}
    return dumps({**chunk, "choices": [choice]} | ({"usage": None} if asked else {}))


def opening(mode: str, model: str, asked: bool) -> list[bytes]:
    """What comes before the first word: chat names the role."""
    return [chat_chunk(model, {"role": "assistant", "content": ""}, None, asked)] if mode == "chat" else []


def content(mode: str, model: str, script: Script, asked: bool) -> Iterator[bytes]:
    texts = pieces(script.speech, max(script.events, 1))
    if script.framing == "huge":
        texts[-1] = "x" * script.huge
    for text in texts:
        if mode == "chat":
            yield chat_chunk(model, {"content": text}, None, asked)
        else:
            yield completion_chunk(model, text, None, asked)


def closing(mode: str, model: str, script: Script, asked: bool) -> list[bytes]:
    """The finish reason and, only where `stream_options.include_usage` asked for it, the usage chunk."""
    if mode == "chat":
        chunks = [chat_chunk(model, {}, "stop", asked)]
        shape = {"id": ID, "object": "chat.completion.chunk"}
    else:
        chunks = [completion_chunk(model, "", "stop", asked)]
        shape = {"id": "cmpl-scripted", "object": "text_completion"}
    usage = usage_of(script)
    if asked and usage is not None:
        chunks.append(dumps({**shape, "created": CREATED, "model": model, "choices": [], "usage": usage}))
    return chunks


def error_chunk(script: Script) -> bytes:
    return dumps({"error": error_object(script)})


def frame(payload: bytes, framing: str) -> bytes:
    """One event as bytes. All framings say the same thing to a reader that knows the grammar."""
    match framing:
        case "no_space":
            return b"data:" + payload + b"\n\n"
        case "comments":
            return b": keep-alive\n\nevent: message\ndata: " + payload + b"\n\n"
        case "crlf":
            return b"data: " + payload + b"\r\n\r\n"
        case "multiline":
            # A line may end between two members of an object; the reader joins the lines with LF.
            head, comma, rest = payload.partition(b",")
            return b"data: " + head + comma + (b"\ndata: " + rest if comma else b"") + b"\n\n"
        case _:
            return b"data: " + payload + b"\n\n"
