"""What a caller sent is read anew for each attempt: no dialect and no adapter may change it on the way."""

from __future__ import annotations

import copy
from contextlib import suppress
from typing import Any

import orjson
import pytest

from billing.pricing import Price
from channels_app.providers import PROVIDERS
from relay import routes
from relay.adapters.base import Job
from relay.adapters.registry import ADAPTERS
from relay.errors import RelayError
from relay.neutral.request import Media
from relay.passages.translated import _adapted
from relay.types import Attempt, Head
from tests.relay.wire.cases import PIXEL, route

SCHEMA = {
    "$schema": "http://json-schema.org/draft-07/schema#",
    "type": "object",
    "properties": {"city": {"type": ["string", "null"], "default": "Oslo"}, "days": {"$ref": "#/$defs/days"}},
    "$defs": {"days": {"type": "integer", "exclusiveMinimum": 0}},
    "required": ["city"],
    "additionalProperties": False,
}
URL = f"data:image/png;base64,{PIXEL}"
OPENAI: dict[str, Any] = {
    "model": "m",
    "max_tokens": 3000,
    "n": 1,
    "stop": ["END"],
    "reasoning_effort": "high",
    "response_format": {"type": "json_schema", "json_schema": {"name": "s", "schema": SCHEMA, "strict": True}},
    "tools": [{"type": "function", "function": {"name": "f", "description": "d", "parameters": SCHEMA}}],
    "tool_choice": {"type": "function", "function": {"name": "f"}},
    "messages": [
        {"role": "system", "content": [{"type": "text", "text": "s", "cache_control": {"type": "ephemeral"}}]},
        {"role": "user", "content": [{"type": "text", "text": "t"}, {"type": "image_url", "image_url": {"url": URL}}]},
        {
            "role": "assistant",
            "tool_calls": [{"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}],
        },
        {"role": "tool", "tool_call_id": "c1", "content": "result"},
    ],
}
ANTHROPIC: dict[str, Any] = {
    "model": "m",
    "max_tokens": 3000,
    "system": [{"type": "text", "text": "s", "cache_control": {"type": "ephemeral"}}],
    "thinking": {"type": "enabled", "budget_tokens": 2000},
    "tools": [{"name": "f", "description": "d", "input_schema": SCHEMA}],
    "messages": [
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "t"},
                {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PIXEL}},
            ],
        },
        {
            "role": "assistant",
            "content": [
                {"type": "thinking", "thinking": "h", "signature": ""},
                {"type": "tool_use", "id": "c1", "name": "f", "input": {"city": "Oslo"}},
            ],
        },
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "c1", "content": "result"}]},
    ],
}
GEMINI: dict[str, Any] = {
    "systemInstruction": {"parts": [{"text": "s"}]},
    "generationConfig": {"maxOutputTokens": 3000, "thinkingConfig": {"thinkingBudget": 2000, "includeThoughts": True}},
    "tools": [{"functionDeclarations": [{"name": "f", "description": "d", "parametersJsonSchema": SCHEMA}]}],
    "contents": [
        {"role": "user", "parts": [{"text": "t"}, {"inlineData": {"mimeType": "image/png", "data": PIXEL}}]},
        {"role": "model", "parts": [{"functionCall": {"name": "f", "args": {"city": "Oslo"}}}]},
        {"role": "user", "parts": [{"functionResponse": {"name": "f", "response": {"result": "r"}}}]},
    ],
}
RESPONSES: dict[str, Any] = {
    "model": "m",
    "instructions": "s",
    "max_output_tokens": 3000,
    "store": False,
    "reasoning": {"effort": "high", "summary": "auto"},
    "text": {"format": {"type": "json_schema", "name": "s", "schema": SCHEMA, "strict": True}},
    "tools": [{"type": "function", "name": "f", "description": "d", "parameters": SCHEMA, "strict": True}],
    "input": [
        {"role": "user", "content": [{"type": "input_text", "text": "t"}, {"type": "input_image", "image_url": URL}]},
        {"type": "function_call", "call_id": "c1", "name": "f", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "c1", "output": "result"},
    ],
}
REQUESTS = {
    "/v1/chat/completions": OPENAI,
    "/v1/messages": ANTHROPIC,
    "/v1beta/models/m:generateContent": GEMINI,
    "/v1/responses": RESPONSES,
}
KINDS = {provider.protocol: kind for kind, provider in PROVIDERS.items()}


class Nowhere:
    """Nothing outside is reached but for a credential."""

    async def token(self, key: str, get: object) -> str:
        return "token"

    async def media(self, media: Media) -> Media:
        return media


@pytest.mark.parametrize("protocol", sorted(ADAPTERS))
@pytest.mark.parametrize("path", REQUESTS)
async def test_no_attempt_changes_what_the_caller_sent(path: str, protocol: str) -> None:
    asked = routes.find(path)
    assert asked is not None
    body = orjson.dumps(REQUESTS[path])
    head = Head("POST", path, path, "", {"content-type": "application/json"}, "127.0.0.1")
    call = asked.dialect.read(asked.mode, head, body)
    before = copy.deepcopy(call.document)
    channel = route(KINDS[protocol], "a|b|c", system_prompt="the channel's")
    attempt = Attempt(channel, "claude-sonnet-4-6", Price.__new__(Price), max_tokens=500)

    with suppress(RelayError):  # of what this protocol cannot do
        request = _adapted(asked.dialect.neutral(call), attempt)
        await ADAPTERS[protocol].prepare(Job(channel, attempt.model, "m", request), Nowhere())  # type: ignore[arg-type]
    asked.dialect.native_body(call, attempt)

    assert call.document == before
    assert orjson.loads(body) == before
