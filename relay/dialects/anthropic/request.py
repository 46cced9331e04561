"""Requests of Anthropic's Messages API: read as far as routing and pricing need, and, for other upstreams, whole.

https://platform.claude.com/docs/en/api/messages and /api/messages-count-tokens. Members nobody else knows (beta
features such as `context_management`) stay in the caller's bytes for Anthropic's own channels and are left out
elsewhere; what would change the answer if left out is refused. Tools: relay.dialects.anthropic.tools.
"""

from __future__ import annotations

import hashlib
import math
from typing import Any

from relay import splice
from relay.dialects.anthropic import tools as anthropic_tools
from relay.dialects.anthropic.content import parts, refused, texts
from relay.dialects.anthropic.count import estimate
from relay.neutral.request import Chat, Json, OutputFormat, Text, Thinking, ToolResult, Turn
from relay.types import Call, Head, Mode

COUNT_TOKENS = "/count_tokens"  # the end of the path of requests that only count
MAX_TOKENS = 1_073_741_823  # as for OpenAI's requests
LONGEST_USER = 64  # characters that OpenAI takes as `user`; Claude Code sends more
TIERS = {"auto": "auto", "standard_only": "default"}  # by their names in OpenAI's API
ONLY_NATIVE = ("mcp_servers", "container")  # tools and files that live at Anthropic


def read(head: Head, body: bytes) -> Call:
    """Raises BadRequest with messages like Anthropic's own."""
    document = splice.parse(body)
    model = document.get("model")
    if not isinstance(model, str) or not model:
        raise refused("model", "Field required" if model is None else "Input should be a non-empty string")
    messages = document.get("messages")
    if not isinstance(messages, list) or not messages:
        raise refused("messages", "Field required" if messages is None else "at least one message is required")
    if not all(isinstance(message, dict) for message in messages):
        raise refused("messages", "Input should be a list of objects")
    call = Call(
        mode=Mode.CHAT,
        path=head.path,
        query=head.query,
        content_type=head.headers.get("content-type", "") or "application/json",
        accept=head.headers.get("accept", ""),
        body=body,
        document=document,
        model=model,
        shows_usage=True,  # every stream of this dialect does
    )
    if not counts_only(call):
        call.stream = _stream(document)
        call.max_tokens = _maximum(document) or None
    call.prompt_estimate = estimate(document)
    return call


def counts_only(call: Call) -> bool:
    return call.path.rstrip("/").endswith(COUNT_TOKENS)


def _stream(document: Json) -> bool:
    stream = document.get("stream")
    if stream is not None and not isinstance(stream, bool):
        raise refused("stream", "Input should be a valid boolean")
    return bool(stream)


def _maximum(document: Json) -> int:
    """0 is allowed: it fills the cache and generates nothing."""
    value = document.get("max_tokens")
    if value is None:
        raise refused("max_tokens", "Field required")
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= MAX_TOKENS:
        raise refused("max_tokens", f"Input should be a whole number from 0 to {MAX_TOKENS}")
    return value


def neutral(document: Json) -> Chat:
    """The conversation for an upstream of another protocol. Raises BadRequest."""
    for name in ONLY_NATIVE:
        if document.get(name):
            raise refused(name, "served by Anthropic's own channels only")
    if document.get("max_tokens") == 0:
        raise refused("max_tokens", "0 (filling the cache) is served by Anthropic's own channels only")
    turns, later = _turns(document["messages"])
    chat = Chat(turns, [*texts(document.get("system"), "system"), *later])
    chat.stream = _stream(document)
    chat.max_tokens = document.get("max_tokens")
    chat.tools, chat.tool_choice, chat.parallel_tools = anthropic_tools.read(document)
    chat.temperature = _number(document, "temperature")
    chat.top_p = _number(document, "top_p")
    top_k = _number(document, "top_k")
    chat.top_k = None if top_k is None else int(top_k)
    chat.stop = _stops(document.get("stop_sequences"))
    chat.thinking = _thinking(document)
    chat.output = _output(document)
    chat.user = _user(document.get("metadata"))
    tier = document.get("service_tier")
    if isinstance(tier, str) and tier in TIERS:
        chat.extra["service_tier"] = TIERS[tier]
    if isinstance(document.get("cache_control"), dict):
        _mark_last(chat, document["cache_control"])
    return chat


def _turns(messages: list[Json]) -> tuple[list[Turn], list[Text]]:
    """The turns, and what system messages between them say: other protocols know one system prompt, at the front."""
    turns: list[Turn] = []
    system: list[Text] = []
    names: dict[str, str] = {}
    for index, message in enumerate(messages):
        where = f"messages.{index}"
        content = message.get("content")
        match message.get("role"):
            case "user":
                turns.append(Turn("user", parts(content, f"{where}.content", names)))
            case "assistant":
                turns.append(Turn("assistant", parts(content, f"{where}.content", names)))
            case "system":
                system += texts(content, f"{where}.content")
            case _:
                raise refused(f"{where}.role", "Input should be 'user', 'assistant' or 'system'")
    return turns, system


def _thinking(document: Json) -> Thinking | None:
    """An effort alone asks for no thoughts to read: `shown` is then False."""
    config = document.get("thinking")
    output = document.get("output_config")
    effort = output.get("effort") if isinstance(output, dict) else None
    effort = effort if isinstance(effort, str) else ""
    if config is None:
        return Thinking(effort, shown=False) if effort else None
    kind = config.get("type") if isinstance(config, dict) else None
    shown = False if isinstance(config, dict) and config.get("display") == "omitted" else None
    match kind:
        case "adaptive":
            return Thinking(effort, shown=True if shown is None else shown, adaptive=True)
        case "enabled":
            budget = config.get("budget_tokens")
            if not isinstance(budget, int) or isinstance(budget, bool) or budget < 1:
                raise refused("thinking.budget_tokens", "Input should be a whole number of at least 1024")
            return Thinking(effort, budget, shown=True if shown is None else shown)
        case "disabled" | "between_tools":
            return Thinking(effort, 0, shown=False)
    raise refused("thinking.type", "Input should be 'adaptive', 'enabled', 'disabled' or 'between_tools'")


def _output(document: Json) -> OutputFormat | None:
    """`output_config.format`, or `output_format` as it was called while in beta."""
    config = document.get("output_config")
    asked = config.get("format") if isinstance(config, dict) else None
    asked = asked if asked is not None else document.get("output_format")
    if asked is None:
        return None
    if not isinstance(asked, dict) or asked.get("type") != "json_schema" or not isinstance(asked.get("schema"), dict):
        raise refused("output_config.format", "Input should have the type 'json_schema' and a schema")
    return OutputFormat("schema", asked["schema"], name="response")


def _user(metadata: Any) -> str:
    """The caller's own user. One that is too long for others becomes a digest: as good for telling users apart."""
    user = metadata.get("user_id") if isinstance(metadata, dict) else None
    if not isinstance(user, str):
        return ""
    return user if len(user) <= LONGEST_USER else hashlib.sha256(user.encode(errors="replace")).hexdigest()


def _mark_last(chat: Chat, cache: Json) -> None:
    """A mark on the request as a whole stands for one on its last block."""
    for turn in reversed(chat.turns):
        for part in reversed(turn.parts):
            if isinstance(part, Text | ToolResult):
                part.cache = part.cache or cache
                return


def _stops(value: Any) -> list[str]:
    stops = [] if value is None else value
    if not isinstance(stops, list) or not all(isinstance(stop, str) for stop in stops):
        raise refused("stop_sequences", "Input should be a list of strings")
    return stops


def _number(document: Json, name: str) -> float | None:
    value = document.get(name)
    if value is None:
        return None
    if not isinstance(value, int | float) or isinstance(value, bool) or not math.isfinite(value):
        raise refused(name, "Input should be a valid number")
    return value


__all__ = ["counts_only", "neutral", "read"]
