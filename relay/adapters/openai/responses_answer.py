"""What an upstream of the Responses API answers, as neutral events: for listening to answers that are passed on.

https://platform.openai.com/docs/api-reference/responses-streaming. Tools that OpenAI runs itself generate nothing that
is counted here; the usage at the end of a stream covers them.
"""

from __future__ import annotations

from typing import Any

import orjson

from relay.adapters.base import SseReader
from relay.adapters.openai.usage import read_usage
from relay.adapters.shape import chunk, document, items, mapping, number, text
from relay.errors import UpstreamError
from relay.neutral.events import (
    CallPiece,
    CallStarted,
    Counted,
    Event,
    Failed,
    Finished,
    FinishReason,
    RefusalPiece,
    Started,
    TextPiece,
    ThoughtPiece,
)
from relay.upstream_errors import find_error, normalise

Json = dict[str, Any]

REASONS = {"max_output_tokens": FinishReason.LENGTH, "content_filter": FinishReason.CONTENT_FILTER}
STATUSES = {"rate_limit_exceeded": 429, "invalid_prompt": 400, "insufficient_quota": 429}


def read_response(body: bytes) -> list[Event]:
    """A whole response. Raises UpstreamError: no JSON, or a response that failed."""
    response = document(body)
    if response.get("status") == "failed" or (find_error(response) and not response.get("output")):
        raise _failure(response)
    events: list[Event] = [Started(text(response.get("id")), max(number(response.get("created_at")), 0))]
    calls = 0
    for item in items(response.get("output")):
        if _is_call(item):
            events.append(CallStarted(calls, text(item.get("call_id")), text(item.get("name"))))
            events.append(CallPiece(calls, text(item.get("arguments")) or text(item.get("input"))))
            calls += 1
        for part in items(item.get("summary")) + items(item.get("content")):
            events += _part(item, part)
    return events + _end(response)


def _part(item: Json, part: Json) -> list[Event]:
    said = text(part.get("text"))
    if part.get("type") == "refusal":
        return [RefusalPiece(text(part.get("refusal")))]
    if not said:
        return []
    return [ThoughtPiece(said)] if item.get("type") == "reasoning" else [TextPiece(said)]


def _is_call(item: Json) -> bool:
    return item.get("type") in ("function_call", "custom_tool_call")


def _end(response: Json) -> list[Event]:
    reason = REASONS.get(text(mapping(response.get("incomplete_details")).get("reason")), FinishReason.STOP)
    if reason is FinishReason.STOP and any(map(_is_call, items(response.get("output")))):
        reason = FinishReason.TOOL_CALLS
    usage = read_usage(mapping(response.get("usage")))
    events: list[Event] = [Finished(reason)]
    return [*events, Counted(usage)] if usage else events


def _failure(response: Json) -> UpstreamError:
    """The error of a failed response, or of an `error` event whose members are its own."""
    told = mapping(response.get("error")) or response
    code = told.get("code")
    message = text(told.get("message")) or "the upstream's response failed"
    status = STATUSES.get(code, 502) if isinstance(code, str) else 502
    error = normalise(status, orjson.dumps({"error": {"message": message, "code": code}}), None)
    error.answered = 0  # it came inside a 200
    return error


class ResponsesReader(SseReader):
    """Reads the events by their `type`; those it does not know generate nothing."""

    def __init__(self) -> None:
        super().__init__()
        self._calls: dict[int, int] = {}  # output_index -> index among the calls
        self._called = 0
        self._failed = False

    def payload(self, data: bytes) -> list[Event]:
        if self._failed:
            return []
        event = chunk(data)
        kind = text(event.get("type"))
        match kind:
            case "response.created":
                response = mapping(event.get("response"))
                return [Started(text(response.get("id")), max(number(response.get("created_at")), 0))]
            case "response.completed" | "response.incomplete":
                self.ended = self.over = True
                return _end(mapping(event.get("response")))
            case "response.failed" | "error":
                return self._fail(mapping(event.get("response")) or event)
            case "response.output_item.added":
                return self._item(number(event.get("output_index")), mapping(event.get("item")))
        if not kind and find_error(event):
            return self._fail(event)
        delta = text(event.get("delta"))
        return self._delta(kind, delta, number(event.get("output_index"))) if delta else []

    def _fail(self, told: Json) -> list[Event]:
        self._failed = self.ended = True
        return [Failed(_failure(told))]

    def _item(self, place: int, item: Json) -> list[Event]:
        if not _is_call(item):
            return [TextPiece("")]  # nothing to count, but a sign that the answer has begun
        index = self._calls[place] = self._called
        self._called += 1
        return [CallStarted(index, text(item.get("call_id")), text(item.get("name")))]

    def _delta(self, kind: str, delta: str, place: int) -> list[Event]:
        match kind:
            case "response.output_text.delta":
                return [TextPiece(delta)]
            case "response.refusal.delta":
                return [RefusalPiece(delta)]
            case "response.reasoning_summary_text.delta" | "response.reasoning_text.delta":
                return [ThoughtPiece(delta)]
            case "response.function_call_arguments.delta" | "response.custom_tool_call_input.delta":
                return [CallPiece(self._calls[place], delta)] if place in self._calls else []
        return []
