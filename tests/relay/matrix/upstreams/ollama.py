"""Ollama's own protocol, a JSON document a line.

https://docs.ollama.com/api/chat, /capabilities/tool-calling, /capabilities/thinking, /api/errors
"""

from __future__ import annotations

from collections.abc import Iterator

import orjson

from tests.relay.matrix.scenes import FAILURE, TOOL, Heard, Json, Refused, Said, need, only
from tests.relay.matrix.upstreams.base import Answer, Upstream, addressed, body_of, credential, document
from tests.upstream.wire import Request

MEMBERS = ("model", "messages", "stream", "tools", "format", "options", "think", "keep_alive", "logprobs")


class Ollama(Upstream):
    name = "Ollama"
    channel_type = 30
    key = "ollama-key"
    models = {None: "qwen3:8b"}
    tells = frozenset()
    stream_kind = "application/x-ndjson"

    def hear(self, request: Request) -> Heard:
        credential(request, "authorization", f"Bearer {self.key}")
        addressed(request, "/api/chat")
        return hear(body_of(request))

    def whole(self, heard: Heard, said: Said) -> Answer:
        message: Json = {"role": "assistant", "content": said.text}
        message |= {"thinking": said.thought} if said.thought else {}
        message |= {"tool_calls": [_call(arguments) for arguments in said.calls]} if said.calls else {}
        return document({**_record(heard, message), **_end(said)})

    def pieces(self, heard: Heard, said: Said) -> Iterator[bytes]:
        silent: Json = {"role": "assistant", "content": ""}
        if said.thought:
            yield _line({**_record(heard, {**silent, "thinking": said.thought}), "done": False})
        for piece in said.pieces:
            yield _line({**_record(heard, {**silent, "content": piece}), "done": False})
        for arguments in said.calls:
            yield _line({**_record(heard, {**silent, "tool_calls": [_call(arguments)]}), "done": False})
        yield _line({**_record(heard, silent), **_end(said)})

    def midway(self) -> bytes:
        return _line({"error": FAILURE})

    def refusal(self, refused: Refused) -> Answer:
        return Answer(orjson.dumps({"error": refused.message}))


def hear(body: Json) -> Heard:
    """Raises Refused. A request that does not say otherwise is one for a stream."""
    only(body, "body", *MEMBERS)
    need(body.get("model") == Ollama.models[None], f"model {body.get('model')!r} not found")
    heard = Heard(body["model"], body.get("stream", True) is not False)
    for tool in body.get("tools", []):
        only(tool, "tools", "type", "function")
        heard.tools[tool["function"]["name"]] = tool["function"]["parameters"]
    wanted = body.get("format")
    need(wanted in (None, "json") or isinstance(wanted, dict), "format")
    heard.schema = wanted if isinstance(wanted, dict) else None
    need(body.get("think") in (None, True, False, "low", "medium", "high", "max"), f"think: {body.get('think')}")
    heard.thinks = heard.shows_thoughts = bool(body.get("think"))
    calls: list[str] = []
    for message in body["messages"]:
        only(message, "messages", "role", "content", "images", "thinking", "tool_calls", "tool_name", "tool_call_id")
        need(isinstance(message["content"], str), "content is text")
        match message["role"]:
            case "system":
                heard.system += message["content"]
            case "user":
                heard.said.append(message["content"])
                heard.pictures += message.get("images", [])
            case "assistant":
                calls = [call["function"]["name"] for call in message.get("tool_calls", [])]
                for call in message.get("tool_calls", []):
                    need(isinstance(call["function"]["arguments"], dict), "arguments are an object")
            case "tool":
                need(calls and message.get("tool_name") == calls.pop(0), "a tool's message without its call")
                heard.results.append(message["content"])
            case role:
                raise Refused(f"unknown role {role}")
    return heard


def _call(arguments: str) -> Json:
    return {"function": {"name": TOOL, "arguments": orjson.loads(arguments)}}


def _record(heard: Heard, message: Json) -> Json:
    return {"model": heard.model, "created_at": "2026-10-09T08:00:00.1Z", "message": message}


def _end(said: Said) -> Json:
    counts = {"prompt_eval_count": said.figures.prompt, "eval_count": said.figures.completion}
    return {"done_reason": "stop", "done": True, "total_duration": 5, "load_duration": 1, **counts}


def _line(record: Json) -> bytes:
    return orjson.dumps(record) + b"\n"
