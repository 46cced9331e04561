"""The smallest true answers of four protocols, cut into pieces, and the smallest requests of four dialects."""

from __future__ import annotations

from typing import Any

import orjson

from tests.relay.stage import NDJSON, SSE, Play, Step

PROMPT, COMPLETION = 100, 20
ANSWER = ("Hello", " from", " upstream.")


def event(document: Any, name: str = "") -> bytes:
    return (f"event: {name}\n".encode() if name else b"") + b"data: " + orjson.dumps(document) + b"\n\n"


def _anthropic(texts: tuple[str, ...], prompt: int, completion: int, usage: bool) -> tuple[list[bytes], ...]:
    told = {"usage": {"input_tokens": prompt, "output_tokens": 1}} if usage else {}
    message = {"id": "msg_1", "type": "message", "role": "assistant", "model": "m", "content": [], **told}
    begin = [
        event({"type": "message_start", "message": message}, "message_start"),
        event(
            {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
            "content_block_start",
        ),
    ]
    middle = [
        event(
            {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": text}},
            "content_block_delta",
        )
        for text in texts
    ]
    last = {"usage": {"output_tokens": completion}} if usage else {}
    end = [
        event({"type": "content_block_stop", "index": 0}, "content_block_stop"),
        event({"type": "message_delta", "delta": {"stop_reason": "end_turn"}, **last}, "message_delta"),
        event({"type": "message_stop"}, "message_stop"),
    ]
    return begin, middle, end


def _gemini(texts: tuple[str, ...], prompt: int, completion: int, usage: bool) -> tuple[list[bytes], ...]:
    def chunk(text: str, **more: Any) -> bytes:
        return event({"candidates": [{"content": {"role": "model", "parts": [{"text": text}]}, "index": 0, **more}]})

    last: dict[str, Any] = {
        "candidates": [{"content": {"role": "model", "parts": [{"text": ""}]}, "index": 0, "finishReason": "STOP"}]
    }
    if usage:
        total = prompt + completion
        last["usageMetadata"] = {
            "promptTokenCount": prompt,
            "candidatesTokenCount": completion,
            "totalTokenCount": total,
        }
    return [], [chunk(text) for text in texts], [event(last)]


def _openai(texts: tuple[str, ...], prompt: int, completion: int, usage: bool) -> tuple[list[bytes], ...]:
    def chunk(delta: Any, finish: str | None = None) -> bytes:
        choice = {"index": 0, "delta": delta, "finish_reason": finish}
        return event(
            {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [choice]}
        )

    figures = {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}
    told = [event({"id": "chatcmpl-1", "object": "chat.completion.chunk", "choices": [], "usage": figures})]
    return (
        [chunk({"role": "assistant", "content": ""})],
        [chunk({"content": text}) for text in texts],
        [chunk({}, "stop"), *(told if usage else []), b"data: [DONE]\n\n"],
    )


def _ollama(texts: tuple[str, ...], prompt: int, completion: int, usage: bool) -> tuple[list[bytes], ...]:
    def line(text: str, **more: Any) -> bytes:
        return orjson.dumps({"model": "m", "message": {"role": "assistant", "content": text}, **more}) + b"\n"

    told = {"prompt_eval_count": prompt, "eval_count": completion} if usage else {}
    return [], [line(text, done=False) for text in texts], [line("", done=True, done_reason="stop", **told)]


STREAMS = {"anthropic": _anthropic, "gemini": _gemini, "openai": _openai, "ollama": _ollama}
ERRORS = {
    "anthropic": event({"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}, "error"),
    "gemini": event({"error": {"code": 503, "message": "Overloaded", "status": "UNAVAILABLE"}}),
    "openai": event({"error": {"message": "Overloaded", "type": "server_error", "code": None}}),
    "ollama": b'{"error":"Overloaded"}\n',
}


def parts(
    protocol: str,
    *,
    texts: tuple[str, ...] = ANSWER,
    prompt: int = PROMPT,
    completion: int = COMPLETION,
    usage: bool = True,
) -> tuple[list[bytes], ...]:
    """(before the first text, the texts, after them)."""
    return STREAMS[protocol](texts, prompt, completion, usage)


def played(protocol: str, *steps: Step) -> Play:
    return Play(steps, NDJSON if protocol == "ollama" else SSE)


def stream(protocol: str, **members: Any) -> Play:
    begin, middle, end = parts(protocol, **members)
    return played(protocol, *begin, *middle, *end)


def whole(protocol: str, *, prompt: int = PROMPT, completion: int = COMPLETION, usage: bool = True) -> Play:
    text = "".join(ANSWER)
    document: dict[str, Any]
    told: dict[str, Any]
    match protocol:
        case "anthropic":
            document = {
                "id": "msg_1",
                "type": "message",
                "role": "assistant",
                "model": "m",
                "stop_reason": "end_turn",
                "content": [{"type": "text", "text": text}],
            }
            told = {"usage": {"input_tokens": prompt, "output_tokens": completion}}
        case "gemini":
            content = {"role": "model", "parts": [{"text": text}]}
            document = {"candidates": [{"content": content, "index": 0, "finishReason": "STOP"}]}
            told = {"usageMetadata": {"promptTokenCount": prompt, "candidatesTokenCount": completion}}
        case "ollama":
            document = {"model": "m", "message": {"role": "assistant", "content": text}, "done": True}
            told = {"prompt_eval_count": prompt, "eval_count": completion}
        case _:
            message = {"role": "assistant", "content": text}
            document = {
                "id": "chatcmpl-1",
                "object": "chat.completion",
                "created": 1,
                "model": "m",
                "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
            }
            told = {"usage": {"prompt_tokens": prompt, "completion_tokens": completion}}
    return Play([orjson.dumps({**document, **(told if usage else {})})], "application/json")


def asked(
    dialect: str, model: str, *, stream: bool, text: str = "Hello", maximum: int | None = None
) -> tuple[str, Any]:
    """(path, body) of a request."""
    messages = [{"role": "user", "content": text}]
    limited: dict[str, Any]
    match dialect:
        case "openai":
            limited = {} if maximum is None else {"max_tokens": maximum}
            return "/v1/chat/completions", {"model": model, "messages": messages, "stream": stream, **limited}
        case "responses":
            limited = {} if maximum is None else {"max_output_tokens": maximum}
            return "/v1/responses", {"model": model, "input": text, "stream": stream, "store": False, **limited}
        case "anthropic":
            return "/v1/messages", {
                "model": model,
                "max_tokens": maximum or 1000,
                "messages": messages,
                "stream": stream,
            }
    action = "streamGenerateContent?alt=sse" if stream else "generateContent"
    limited = {} if maximum is None else {"generationConfig": {"maxOutputTokens": maximum}}
    return f"/v1beta/models/{model}:{action}", {"contents": [{"role": "user", "parts": [{"text": text}]}], **limited}


DIALECTS = ("openai", "responses", "anthropic", "gemini")
PROTOCOLS = tuple(STREAMS)


def text_of(dialect: str, body: bytes) -> str:
    """What a stream has said. Raises ValueError where it holds what is not this dialect's."""
    said = ""
    for raw in body.replace(b"\r\n", b"\n").split(b"\n\n"):
        lines = [line for line in raw.split(b"\n") if line.startswith(b"data:")]
        if not raw.strip():
            continue
        if len(lines) != 1:
            raise ValueError(raw)
        data = lines[0].removeprefix(b"data:").strip()
        if data == b"[DONE]":
            continue
        document = orjson.loads(data)
        match dialect:
            case "openai":
                said += "".join(one["delta"].get("content") or "" for one in document.get("choices", []))
            case "responses":
                said += document["delta"] if document["type"] == "response.output_text.delta" else ""
            case "anthropic":
                said += document["delta"]["text"] if document["type"] == "content_block_delta" else ""
            case "gemini":
                for candidate in document.get("candidates", []):
                    said += "".join(part["text"] for part in candidate["content"]["parts"])
    return said


def ends_whole(dialect: str, body: bytes) -> bool:
    match dialect:
        case "openai":
            return body.endswith(b"data: [DONE]\n\n")
        case "responses":
            return b'"type":"response.completed"' in body
        case "anthropic":
            return b'"type":"message_stop"' in body
    return b'"finishReason":"STOP"' in body


def tells_error(dialect: str, body: bytes) -> bool:
    """Whether the last event is the dialect's own error."""
    last = body.replace(b"\r\n", b"\n").rstrip().split(b"\n\n")[-1]
    document = orjson.loads(last[last.index(b"data:") + 5 :])
    match dialect:
        case "openai":
            return "message" in document["error"]
        case "responses":
            return bool(document["type"] in ("response.failed", "error"))
        case "anthropic":
            return bool(document["type"] == "error" and last.startswith(b"event: error"))
    return "status" in document["error"]
