"""Cohere's API v2: chat and ranking.

https://docs.cohere.com/reference/chat, /reference/chat-stream, /reference/rerank, /reference/errors
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import orjson

from tests.relay.matrix.scenes import FAILURE, TOOL, Figures, Heard, Json, Refused, Said, Scene, need, only
from tests.relay.matrix.upstreams.base import Answer, Upstream, addressed, body_of, credential, document, event, path_of
from tests.upstream.wire import Request

MEMBERS = (
    *("model", "messages", "stream", "tools", "tool_choice", "strict_tools", "response_format", "thinking", "seed"),
    *("temperature", "p", "k", "max_tokens", "stop_sequences", "frequency_penalty", "presence_penalty", "documents"),
    *("citation_options", "safety_mode", "priority", "logprobs"),
)
CHAT, SEES, THINKS, RANKS = (
    *("command-a-03-2025", "command-a-vision-07-2025", "command-a-reasoning-08-2025", "rerank-v3.5"),
)
UNITS = 3  # search units a ranking is billed as


class Cohere(Upstream):
    name = "Cohere"
    channel_type = 35
    key = "co-cohere"
    models = {None: CHAT, Scene.PICTURE: SEES, Scene.THINK: THINKS, Scene.PONDER: THINKS}
    others = (RANKS,)
    tells = frozenset({"cached"})

    def respond(self, request: Request) -> Answer:
        if path_of(request) != "/v2/rerank":
            return super().respond(request)
        try:
            return self._ranking(request)
        except Refused as refused:
            self.violations.append(refused.message)
            return Answer(orjson.dumps({"id": "e1", "message": refused.message}), status=refused.status)

    def _ranking(self, request: Request) -> Answer:
        credential(request, "authorization", f"Bearer {self.key}")
        body = body_of(request)
        only(body, "body", "model", "query", "documents", "top_n", "max_tokens_per_doc", "priority")
        need(body["model"] == RANKS, f"model {body['model']!r} not found")
        need(all(isinstance(text, str) for text in body["documents"]), "documents are texts")
        # The fewer letters a document has, the better it fits.
        order = sorted(range(len(body["documents"])), key=lambda place: len(body["documents"][place]))
        results = [{"index": index, "relevance_score": 0.9 - place / 10} for place, index in enumerate(order)]
        meta = {"api_version": {"version": "2"}, "billed_units": {"search_units": UNITS}}
        return document({"id": "rank-1", "results": results[: body.get("top_n", 99)], "meta": meta})

    def hear(self, request: Request) -> Heard:
        credential(request, "authorization", f"Bearer {self.key}")
        addressed(request, "/v2/chat")
        return hear(body_of(request))

    def whole(self, heard: Heard, said: Said) -> Answer:
        content: list[Json] = [{"type": "thinking", "thinking": said.thought}] if said.thought else []
        content += [{"type": "text", "text": said.text}] if said.text else []
        message: Json = {"role": "assistant", "content": content}
        if said.calls:
            message = {"role": "assistant", "tool_calls": [_call(*each) for each in enumerate(said.calls)]}
        told = {"id": "c0h-1", "finish_reason": _finish(said), "message": message}
        return document({**told, "usage": usage(said.figures)})

    def pieces(self, heard: Heard, said: Said) -> Iterator[bytes]:
        for each in events(said):
            yield event(each, each["type"])
        yield b"data: [DONE]\n\n"

    def midway(self) -> bytes:
        told = {"type": "message-end", "delta": {"finish_reason": "ERROR", "error": FAILURE}}
        return event(told, "message-end")

    def refusal(self, refused: Refused) -> Answer:
        return Answer(orjson.dumps({"id": "e1", "message": refused.message}))


def hear(body: Json) -> Heard:
    """Raises Refused."""
    only(body, "body", *MEMBERS)
    need(body.get("model") in Cohere.models.values(), f"model {body.get('model')!r} not found")
    heard = Heard(body["model"], bool(body.get("stream")))
    for tool in body.get("tools", []):
        only(tool, "tools", "type", "function")
        only(tool["function"], "tools.function", "name", "description", "parameters")
        heard.tools[tool["function"]["name"]] = tool["function"]["parameters"]
    need(body.get("tool_choice") in (None, "REQUIRED", "NONE"), "tool_choice")
    if body.get("tool_choice") == "REQUIRED" and len(heard.tools) == 1:
        (heard.must_call,) = heard.tools
    wanted = body.get("response_format", {"type": "text"})
    only(wanted, "response_format", "type", "json_schema")
    need(wanted["type"] in ("text", "json_object"), "response_format.type")
    heard.schema = wanted.get("json_schema")
    if heard.schema is not None:
        need(heard.schema.get("required"), "json_schema: at least one member must be required")
    off = body.get("thinking", {}).get("type") == "disabled"
    heard.thinks = heard.shows_thoughts = body["model"] == THINKS and not off
    _messages(heard, body["messages"])
    return heard


def _messages(heard: Heard, told: list[Json]) -> None:
    waiting: list[str] = []
    for message in told:
        content = message.get("content")
        match message["role"]:
            case "system":
                heard.system += _text(content)
            case "user":
                heard.said.append(_text(content))
                if isinstance(content, list):
                    pictures = [part["image_url"]["url"] for part in content if part["type"] == "image_url"]
                    need(not pictures or heard.model == SEES, "this model takes no images")
                    heard.pictures += [picture.removeprefix("data:image/png;base64,") for picture in pictures]
            case "assistant":
                only(message, "assistant", "role", "content", "tool_calls", "tool_plan")
                waiting = [call["id"] for call in message.get("tool_calls", [])]
            case "tool":
                need(message["tool_call_id"] in waiting, "a tool message without its call")
                waiting.remove(message["tool_call_id"])
                heard.results.append(_text(content))
            case role:
                raise Refused(f"unknown role {role}")
    need(not waiting, f"calls without their results: {waiting}")


def _text(content: Any) -> str:
    if isinstance(content, str):
        need(content, "content must not be empty")
        return content
    return "".join(part["text"] for part in content if part["type"] == "text")


def _call(place: int, arguments: str) -> Json:
    return {"id": f"{TOOL}_{place}", "type": "function", "function": {"name": TOOL, "arguments": arguments}}


def _finish(said: Said) -> str:
    return "TOOL_CALL" if said.calls else "COMPLETE"


def usage(figures: Figures) -> Json:
    """Of the two counts, `tokens` is what went through the model; figures come as floats."""
    billed = {"input_tokens": 11.0, "output_tokens": 5.0}
    tokens = {"input_tokens": float(figures.prompt), "output_tokens": float(figures.completion)}
    return {"billed_units": billed, "tokens": tokens, "cached_tokens": float(figures.cached)}


def events(said: Said) -> Iterator[Json]:
    begun = {"role": "assistant", "content": [], "tool_plan": "", "tool_calls": [], "citations": []}
    yield {"type": "message-start", "id": "c0h-1", "delta": {"message": begun}}
    for index, (kind, member, pieces) in enumerate(_contents(said)):
        at = {"index": index}
        yield {"type": "content-start", **at, "delta": {"message": {"content": {"type": kind, member: ""}}}}
        for piece in pieces:
            yield {"type": "content-delta", **at, "delta": {"message": {"content": {member: piece}}}}
        yield {"type": "content-end", **at}
    for index, arguments in enumerate(said.calls):
        at = {"index": index}
        call = _call(index, "")
        yield {"type": "tool-call-start", **at, "delta": {"message": {"tool_calls": call}}}
        for part in (arguments[:5], arguments[5:]):
            fragment = {"message": {"tool_calls": {"function": {"arguments": part}}}}
            yield {"type": "tool-call-delta", **at, "delta": fragment}
        yield {"type": "tool-call-end", **at}
    yield {"type": "message-end", "delta": {"finish_reason": _finish(said), "usage": usage(said.figures)}}


def _contents(said: Said) -> list[tuple[str, str, list[str]]]:
    found = [("thinking", "thinking", [said.thought[:8], said.thought[8:]])] if said.thought else []
    return found + ([("text", "text", said.pieces)] if said.text else [])
