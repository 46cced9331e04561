"""Anthropic's Messages.

https://platform.claude.com/docs/en/api/messages, /build-with-claude/streaming, /build-with-claude/extended-thinking,
/build-with-claude/structured-outputs, /api/errors
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import orjson

from tests.relay.matrix.scenes import FAILURE, TOOL, Figures, Heard, Json, Refused, Said, need, only
from tests.relay.matrix.upstreams.base import Answer, Upstream, addressed, body_of, credential, document, event
from tests.upstream.wire import Request

MEMBERS = (
    *("model", "max_tokens", "messages", "system", "stream", "tools", "tool_choice", "thinking", "output_config"),
    *("temperature", "top_p", "top_k", "stop_sequences", "metadata", "service_tier"),
)
EITHER, ADAPTIVE = frozenset({"enabled", "adaptive"}), frozenset({"adaptive"})
NEWEST = "2026-10-21"  # which the SDKs send
SAMPLING = frozenset({"temperature", "top_p", "top_k"})
SIGNATURE = "c2lnbmVkIGJ5IHRoZSB1cHN0cmVhbQ=="
KINDS = {400: "invalid_request_error", 401: "authentication_error", 429: "rate_limit_error", 500: "api_error"}
NAME = re.compile(r"[a-zA-Z0-9_-]{1,128}")


class Anthropic(Upstream):
    name = "Anthropic"
    channel_type = 14
    key = "sk-ant-anthropic"
    models = {None: "claude-sonnet-4-6"}
    tells = frozenset({"cached", "written", "reasoning"})

    def hear(self, request: Request) -> Heard:
        # As a bearer, which its newest SDKs send, or in the older header.
        bearer = "authorization" in request.headers
        credential(request, *(("authorization", f"Bearer {self.key}") if bearer else ("x-api-key", self.key)))
        version = request.headers.get("anthropic-version")
        need(version in ("2023-06-01", NEWEST), "anthropic-version: header is required")
        addressed(request, "/v1/messages")
        body = body_of(request)
        need(body.get("model") == self.models[None], f"no such model: {body.get('model')}")
        need(version != NEWEST or not SAMPLING & set(body), "sampling parameters are not supported in this version")
        return hear(body)

    def whole(self, heard: Heard, said: Said) -> Answer:
        return document(message(heard, said))

    def pieces(self, heard: Heard, said: Said) -> Iterator[bytes]:
        for each in events(heard, said):
            yield event(each, each["type"])

    def midway(self) -> bytes:
        return midway()

    def refusal(self, refused: Refused) -> Answer:
        return error(refused)


def midway() -> bytes:
    return event({"type": "error", "error": {"type": "api_error", "message": FAILURE}}, "error")


def error(refused: Refused) -> Answer:
    told = {"type": KINDS.get(refused.status, "invalid_request_error"), "message": refused.message}
    return Answer(orjson.dumps({"type": "error", "error": told, "request_id": "req_1"}))


def hear(body: Json, kinds: frozenset[str] = EITHER) -> Heard:
    """`kinds`: of thinking that the model knows. Raises Refused."""
    only(body, "body", *MEMBERS)
    need(isinstance(body.get("max_tokens"), int) and body["max_tokens"] > 0, "max_tokens: field required")
    system = body.get("system", "")
    heard = Heard(body.get("model", ""), bool(body.get("stream")))
    heard.system = system if isinstance(system, str) else "".join(block["text"] for block in system)
    for tool in body.get("tools", []):
        only(tool, "tools", "name", "description", "input_schema", "strict", "cache_control", "type")
        need(NAME.fullmatch(tool["name"]), "tools.name")
        need(tool["input_schema"].get("type") == "object", "tools.input_schema.type")
        heard.tools[tool["name"]] = tool["input_schema"]
    need("tool_choice" not in body or heard.tools, "tool_choice without tools")
    heard.must_call = body.get("tool_choice", {}).get("name", "")
    _thinking(heard, body, kinds)
    wanted = body.get("output_config", {})
    only(wanted, "output_config", "format", "effort")
    if "format" in wanted:
        need(wanted["format"]["type"] == "json_schema", "output_config.format.type")
        heard.schema = wanted["format"]["schema"]
        need(heard.schema.get("additionalProperties") is False, "additionalProperties must be false")
    _messages(heard, body["messages"])
    if body.get("thinking", {}).get("type") == "enabled" and heard.results:
        first = body["messages"][-2]["content"][0]["type"]
        need(first == "thinking", f"expected thinking or redacted_thinking, but found {first}")
    return heard


def _thinking(heard: Heard, body: Json, kinds: frozenset[str]) -> None:
    """A model that knows the adaptive kind alone keeps its thoughts unless it is told to sum them up."""
    thinking = body.get("thinking", {"type": "disabled"})
    if thinking["type"] == "disabled":
        return
    need(thinking["type"] in kinds, f"thinking.type: {thinking['type']} is not supported by this model")
    only(thinking, "thinking", "type", "budget_tokens", "display")
    default = "summarized" if "enabled" in kinds else "omitted"
    heard.thinks, heard.shows_thoughts = True, thinking.get("display", default) == "summarized"
    need(body.get("tool_choice", {}).get("type") in (None, "auto", "none"), "tool_choice forces use beside thinking")
    if thinking["type"] == "adaptive":
        need("budget_tokens" not in thinking, "thinking.budget_tokens")
        return
    need(1024 <= thinking["budget_tokens"] < body["max_tokens"], "thinking.budget_tokens")
    need(body.get("temperature", 1) == 1 and "top_k" not in body, "sampling beside thinking")


def _messages(heard: Heard, told: list[Json]) -> None:
    need(told and told[0]["role"] == "user", "messages: the first must be of the user")
    waiting: list[str] = []
    for message in told:
        only(message, "messages", "role", "content")
        content = message["content"]
        blocks = [{"type": "text", "text": content}] if isinstance(content, str) else content
        need(blocks, "messages: empty content")
        results = [block for block in blocks if block["type"] == "tool_result"]
        need(blocks[: len(results)] == results, "tool_result blocks must come first")
        need([block["tool_use_id"] for block in results] == waiting, f"tool_use without tool_result: {waiting}")
        waiting = [block["id"] for block in blocks if block["type"] == "tool_use"]
        need(not waiting or message["role"] == "assistant", "tool_use of the user")
        heard.results = [_text(block["content"]) for block in results]
        said = [_said(heard, block, message["role"]) for block in blocks]
        if message["role"] == "user" and any(said):
            heard.said.append("".join(said))
    need(not waiting, f"tool_use without tool_result: {waiting}")


def _said(heard: Heard, block: Json, role: str) -> str:
    match block["type"]:
        case "text":
            need(block["text"].strip(), "text content blocks must be non-empty")
            return str(block["text"])
        case "image" if role == "user":
            only(block["source"], "source", "type", "media_type", "data")
            need(block["source"]["type"] == "base64" and block["source"]["media_type"] == "image/png", "source")
            heard.pictures.append(block["source"]["data"])
        case "thinking" if role == "assistant":
            need(block["signature"] == SIGNATURE, "invalid signature in thinking block")
        case "tool_use" if role == "assistant":
            need(isinstance(block["input"], dict), "tool_use.input")
        case kind:
            need(kind == "tool_result" and role == "user", f"{kind} block of {role}")
    return ""


def _text(content: str | list[Json]) -> str:
    if isinstance(content, str):
        return content
    need({block["type"] for block in content} <= {"text", "image"}, f"tool_result.content: {content}"[:300])
    return "".join(block["text"] for block in content if block["type"] == "text")


def _blocks(said: Said) -> list[Json]:
    blocks: list[Json] = []
    if said.figures.reasoning:  # with nothing to read where the thoughts are kept back
        blocks.append({"type": "thinking", "thinking": said.thought, "signature": SIGNATURE})
    if said.text:
        blocks.append({"type": "text", "text": said.text, "citations": None})
    for place, arguments in enumerate(said.calls):
        blocks.append({"type": "tool_use", "id": f"toolu_{place}", "name": TOOL, "input": orjson.loads(arguments)})
    return blocks


def usage(figures: Figures) -> Json:
    """`input_tokens` are what is neither read from the cache nor written to it."""
    return {
        "input_tokens": figures.prompt - figures.cached - figures.written,
        "cache_creation_input_tokens": figures.written,
        "cache_read_input_tokens": figures.cached,
        "cache_creation": {"ephemeral_5m_input_tokens": figures.written, "ephemeral_1h_input_tokens": 0},
        "output_tokens": figures.completion,
        "output_tokens_details": {"thinking_tokens": figures.reasoning},
        "service_tier": "standard",
    }


def message(heard: Heard, said: Said) -> Json:
    return {
        "id": "msg_01",
        "type": "message",
        "role": "assistant",
        "model": heard.model or "claude",
        "content": _blocks(said),
        "stop_reason": "tool_use" if said.calls else "end_turn",
        "stop_sequence": None,
        "usage": usage(said.figures),
    }


def events(heard: Heard, said: Said) -> Iterator[Json]:
    whole = message(heard, said)
    begun = {**whole, "content": [], "stop_reason": None, "usage": {**whole["usage"], "output_tokens": 1}}
    yield {"type": "message_start", "message": begun}
    yield {"type": "ping"}
    for index, block in enumerate(whole["content"]):
        start, deltas = _in_pieces(block, said)
        yield {"type": "content_block_start", "index": index, "content_block": start}
        for delta in deltas:
            yield {"type": "content_block_delta", "index": index, "delta": delta}
        yield {"type": "content_block_stop", "index": index}
    delta = {"stop_reason": whole["stop_reason"], "stop_sequence": None}
    yield {"type": "message_delta", "delta": delta, "usage": whole["usage"]}
    yield {"type": "message_stop"}


def _in_pieces(block: Json, said: Said) -> tuple[Json, list[Json]]:
    if block["type"] == "thinking":
        parts = (said.thought[:8], said.thought[8:]) if said.thought else ()
        thought = [{"type": "thinking_delta", "thinking": part} for part in parts]
        return {**block, "thinking": "", "signature": ""}, [
            *thought,
            {"type": "signature_delta", "signature": SIGNATURE},
        ]
    if block["type"] == "text":
        return {"type": "text", "text": ""}, [{"type": "text_delta", "text": piece} for piece in said.pieces]
    arguments = orjson.dumps(block["input"]).decode()
    fragments = ("", arguments[:5], arguments[5:])
    return {**block, "input": {}}, [{"type": "input_json_delta", "partial_json": part} for part in fragments]
