"""Requests of OpenAI's Responses API: read and checked, and in the neutral form for upstreams that have no such API.

https://platform.openai.com/docs/api-reference/responses/create. What would change the answer if it were left out (what
OpenAI keeps from one call to the next) is refused for other upstreams; tools: relay.dialects.responses.tools.
"""

from __future__ import annotations

from typing import Any

from relay import splice
from relay.dialects.members import flag, items, mapping, number, refused, text, whole
from relay.dialects.openai.calls import MAX_TOKENS
from relay.dialects.openai.request import EFFORTS
from relay.dialects.responses import tools as responses_tools
from relay.dialects.responses.input import read_input
from relay.neutral.request import Chat, Json, OutputFormat, Text, Thinking
from relay.sizing import PER_FILE, PER_IMAGE, PER_MESSAGE, tokens_of
from relay.types import Call, Head, Mode

KEPT_AT_OPENAI = ("previous_response_id", "conversation", "prompt", "context_management")
EXTRA = ("service_tier", "prompt_cache_key", "prompt_cache_retention", "safety_identifier")


def read(head: Head, body: bytes) -> Call:
    """What routing and pricing need, checked. Raises BadRequest."""
    document = splice.parse(body)
    model = text(document, "model")
    if not model:
        raise refused("model is required")
    given = document.get("input")
    if not (given or any(document.get(name) for name in KEPT_AT_OPENAI)):
        raise refused("field input is required")
    if given is not None and not isinstance(given, str):
        items(document, "input")
    if flag(document, "background"):
        raise refused("background is not offered here: an answer is billed with the call that asked for it")
    call = Call(
        mode=Mode.RESPONSES,
        path=head.path,
        query=head.query,
        content_type=head.headers.get("content-type") or "application/json",
        accept=head.headers.get("accept", ""),
        body=body,
        document=document,
        model=model,
        stream=bool(flag(document, "stream")),
        shows_usage=True,
    )
    maximum = whole(document, "max_output_tokens")
    if maximum is not None and not 0 <= maximum <= MAX_TOKENS:
        raise refused("max_output_tokens is invalid")
    call.max_tokens = maximum or None
    call.prompt_estimate = _estimate(document)
    call.needs_native = next((name for name in (*KEPT_AT_OPENAI, "store") if _kept(document, name)), "")
    call.continues = text(document, "previous_response_id")
    return call


def _kept(document: Json, name: str) -> bool:
    """Whether a member asks for something that is kept from one call to the next. Left out, `store` is no wish."""
    return document.get(name) is True if name == "store" else bool(document.get(name))


def _estimate(document: Json) -> int:
    size, extra = 0, 3
    for name in ("instructions", "input", "tools", "text"):
        more_size, more_extra = _weigh(document.get(name))
        size, extra = size + more_size, extra + more_extra
    return tokens_of(size) + extra


def _weigh(value: Any) -> tuple[int, int]:
    """Bytes of text, and tokens for everything that is not text. Depth is bounded by the parser that made the value."""
    if isinstance(value, str):
        return len(value.encode(errors="replace")), 0
    if isinstance(value, dict):
        kind = value.get("type")
        if kind == "input_image":
            return 0, PER_IMAGE
        if kind in ("input_file", "input_audio"):
            return 0, PER_FILE
        weights = [_weigh(item) for item in value.values()]
        return sum(size for size, _ in weights) + 4 * len(value), sum(extra for _, extra in weights) + PER_MESSAGE
    if isinstance(value, list):
        weights = [_weigh(item) for item in value]
        return sum(size for size, _ in weights), sum(extra for _, extra in weights)
    return (0 if value is None else 4), 0


def neutral(document: Json) -> Chat:
    """Raises BadRequest."""
    for name in (*KEPT_AT_OPENAI, "store"):
        if _kept(document, name):
            raise refused(f"this channel's upstream cannot use {name}: it keeps nothing between calls")
    conversation = read_input(document.get("input"))
    instructions = text(document, "instructions")
    system = [Text(instructions), *conversation.system] if instructions else conversation.system
    if not conversation.turns and not system:
        raise refused("field input is required")
    tools, choice = responses_tools.read(document)
    return Chat(
        turns=conversation.turns,
        system=system,
        stream=bool(flag(document, "stream")),
        tools=tools,
        tool_choice=choice,
        parallel_tools=flag(document, "parallel_tool_calls") if tools else None,
        max_tokens=whole(document, "max_output_tokens") or None,
        temperature=number(document, "temperature"),
        top_p=number(document, "top_p"),
        logprobs=True if document.get("top_logprobs") else None,
        top_logprobs=whole(document, "top_logprobs") or None,
        output=_output(document),
        thinking=_thinking(document),
        user=text(document, "user"),
        extra=_extra(document),
    )


def _extra(document: Json) -> Json:
    extra = {name: document[name] for name in EXTRA if document.get(name) is not None}
    verbosity = text(mapping(document, "text") or {}, "verbosity")
    return {**extra, "verbosity": verbosity} if verbosity else extra


def _output(document: Json) -> OutputFormat | None:
    form = mapping(mapping(document, "text") or {}, "format")
    if form is None:
        return None
    match form.get("type"):
        case "text":
            return OutputFormat("text")
        case "json_object":
            return OutputFormat("json")
        case "json_schema":
            schema = mapping(form, "schema") or {}
            return OutputFormat("schema", schema, text(form, "name"), text(form, "description"), flag(form, "strict"))
    raise refused("text.format must be of type text, json_object or json_schema")


def _thinking(document: Json) -> Thinking | None:
    reasoning = mapping(document, "reasoning")
    if not reasoning:
        return None
    effort = text(reasoning, "effort")
    if effort and effort not in EFFORTS:
        raise refused("reasoning.effort must be none, minimal, low, medium, high, xhigh or max")
    shown = bool(text(reasoning, "summary") or text(reasoning, "generate_summary")) or None
    thinking = Thinking(effort, shown=shown)
    return None if thinking == Thinking() else thinking
