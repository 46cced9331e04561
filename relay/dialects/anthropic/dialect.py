"""Anthropic's Messages API as a client's dialect: /v1/messages and /v1/messages/count_tokens.

https://platform.claude.com/docs/en/api/messages.
"""

from __future__ import annotations

import re
from typing import Any

import orjson

from relay import splice
from relay.dialects.anthropic import count as anthropic_count
from relay.dialects.anthropic import request as anthropic_request
from relay.dialects.anthropic import writer as anthropic_writer
from relay.dialects.anthropic.errors import error_body
from relay.dialects.base import Dialect, Whole, Writer
from relay.errors import GatewayError, RelayError
from relay.neutral.events import Answer
from relay.neutral.request import Chat
from relay.types import Attempt, Call, Head, Mode

UNSIGNED = re.compile(rb'"signature"\s*:\s*""')  # what our own writer puts where an upstream signs nothing
LEAST_BUDGET = 1024  # tokens; https://platform.claude.com/docs/en/build-with-claude/extended-thinking


class AnthropicDialect(Dialect):
    """Clouds that serve Claude under other addresses get a translated body; only this protocol gets the bytes."""

    name = "anthropic"
    native = frozenset({"anthropic-messages"})

    def read(self, mode: Mode, head: Head, body: bytes, model_in_path: str = "") -> Call:
        return anthropic_request.read(head, body)

    def neutral(self, call: Call) -> Chat:
        return anthropic_request.neutral(call.document)

    def native_body(self, call: Call, attempt: Attempt) -> bytes:
        changes: dict[str, Any] = {}
        if attempt.model != call.model:
            changes["model"] = attempt.model
        if attempt.route.system_prompt:
            changes["system"] = attempt.route.system_prompt
        if UNSIGNED.search(call.body) and "claude" in attempt.model:
            changes["messages"] = _signed(call.document["messages"])
        if attempt.max_tokens is not None and not anthropic_request.counts_only(call):
            changes |= _lowered(call.document, attempt.max_tokens)
        return splice.replace(call.body, call.document, changes) if changes else call.body

    def writer(self, call: Call) -> Writer:
        return anthropic_writer.MessageWriter(call.model, _shows_thoughts(call))

    def whole(self, call: Call, answer: Whole) -> bytes:
        if not isinstance(answer, Answer):
            raise GatewayError("the upstream's answer is no message", code="bad_answer")
        return anthropic_writer.whole(answer, call.model, _shows_thoughts(call))

    def count(self, call: Call) -> bytes:
        return anthropic_count.answer(anthropic_count.count(call))

    def prompt_tokens(self, call: Call, model: str, *, rough: bool) -> int:
        return call.prompt_estimate if rough else anthropic_count.count(call)

    def failure(self, error: RelayError, request_id: str) -> bytes:
        return orjson.dumps(error_body(error, request_id))


def _signed(messages: list[Any]) -> list[Any]:
    """Without thoughts that other upstreams' models had in earlier turns: Claude refuses what it did not sign."""
    kept = []
    for message in messages:
        content = message.get("content")
        if isinstance(content, list):
            blocks = [block for block in content if not _unsigned(block)]
            if blocks:
                kept.append({**message, "content": blocks})
        else:
            kept.append(message)
    return kept


def _unsigned(block: Any) -> bool:
    return isinstance(block, dict) and block.get("type") == "thinking" and not block.get("signature")


def _lowered(document: dict[str, Any], most: int) -> dict[str, Any]:
    """A lower maximum. A budget for thinking has to stay below it; where there is no room for one, there is none."""
    maximum = min(document["max_tokens"], most)
    changes: dict[str, Any] = {"max_tokens": maximum}
    thinking = document.get("thinking")
    if isinstance(thinking, dict) and isinstance(thinking.get("budget_tokens"), int):
        if maximum <= LEAST_BUDGET:
            changes["thinking"] = {"type": "disabled"}
        elif thinking["budget_tokens"] >= maximum:
            changes["thinking"] = {**thinking, "budget_tokens": maximum - 1}
    return changes


def _shows_thoughts(call: Call) -> bool:
    """Whether the caller turned thinking on and wants to read it; others take the first block for the answer."""
    thinking = call.document.get("thinking")
    if not isinstance(thinking, dict) or thinking.get("type") not in ("enabled", "adaptive"):
        return False
    return thinking.get("display") != "omitted"
