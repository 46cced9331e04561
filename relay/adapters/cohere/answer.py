"""Cohere's chat answers, whole or as stream events, as neutral events.

https://docs.cohere.com/reference/chat-stream, /docs/streaming; relay contract of providers, 3.8. The plan a model
makes before it calls tools (`tool_plan`) is shown as its thoughts.
"""

from __future__ import annotations

from collections.abc import Container

from billing.pricing import Usage
from relay.adapters.base import SseReader
from relay.adapters.shape import Json, chunk, clamped, items, mapping, number, text
from relay.adapters.usual import reported
from relay.errors import UpstreamError
from relay.neutral.events import (
    CallPiece,
    CallStarted,
    Cited,
    Counted,
    Event,
    Failed,
    Finished,
    FinishReason,
    Started,
    TextPiece,
    ThoughtPiece,
    new_id,
)

FINISH = {
    "COMPLETE": FinishReason.STOP,
    "STOP_SEQUENCE": FinishReason.STOP,
    "MAX_TOKENS": FinishReason.LENGTH,
    "TOOL_CALL": FinishReason.TOOL_CALLS,
}
FAILED = {"ERROR": 502, "ERROR_TOXIC": 502, "ERROR_LIMIT": 502, "TIMEOUT": 504}


def read_chat(answer: Json) -> list[Event]:
    """A whole answer. Raises UpstreamError: it is none, or generation failed."""
    message = answer.get("message")
    if not isinstance(message, dict):
        raise reported(502, text(message) or "the upstream's answer holds no message")
    if failure := failure_of(answer):
        raise failure
    events: list[Event] = [Started(text(answer.get("id")))]
    if plan := text(message.get("tool_plan")):
        events.append(ThoughtPiece(plan))
    for part in items(message.get("content")):
        events += _content(part)
    for index, call in enumerate(items(message.get("tool_calls"))):
        events += [_call(index, call), CallPiece(index, _arguments(call) or "{}")]
    for citation in items(message.get("citations")):
        events += _cited(citation)
    return [*events, *_end(answer, any(isinstance(event, CallStarted) for event in events))]


class CohereReader(SseReader):
    def __init__(self) -> None:
        super().__init__()
        self._calls: dict[int, int] = {}  # the upstream's index: ours
        self._empty: set[int] = set()  # our indexes of the calls that have no arguments yet

    def payload(self, data: bytes) -> list[Event]:
        if self.ended:
            return []
        event = chunk(data)
        delta = mapping(event.get("delta"))
        message = mapping(delta.get("message"))
        match event.get("type"):
            case "message-start":
                return [Started(text(event.get("id")))]
            case "content-start" | "content-delta":
                return _content(mapping(message.get("content")))
            case "tool-plan-delta":
                plan = text(message.get("tool_plan"))
                return [ThoughtPiece(plan)] if plan else []
            case "tool-call-start" | "tool-call-delta" | "tool-call-end" as step:
                return self._tool(step, number(event.get("index")), mapping(message.get("tool_calls")))
            case "citation-start":
                return _cited(mapping(message.get("citations")))
            case "message-end":
                return self._end(delta)
            case None if "message" in event:
                self.ended = True
                return [Failed(reported(502, text(event.get("message"))))]
        return []

    def _end(self, delta: Json) -> list[Event]:
        self.ended = self.over = True
        failure = failure_of(delta)
        return [Failed(failure)] if failure else _end(delta, bool(self._calls))

    def _tool(self, step: str, index: int, call: Json) -> list[Event]:
        if step == "tool-call-start":
            ours = self._calls.setdefault(index, len(self._calls))
            self._empty.add(ours)
            return [_call(ours, call), *self._piece(ours, call)]
        if index not in self._calls:
            return []
        return (
            self._piece(self._calls[index], call) if step == "tool-call-delta" else self._complete(self._calls[index])
        )

    def _piece(self, index: int, call: Json) -> list[Event]:
        fragment = _arguments(call)
        if not fragment:
            return []
        self._empty.discard(index)
        return [CallPiece(index, fragment)]

    def _complete(self, index: int) -> list[Event]:
        if index not in self._empty:
            return []
        self._empty.discard(index)
        return [CallPiece(index, "{}")]


def _content(part: Json) -> list[Event]:
    if thinking := text(part.get("thinking")):
        return [ThoughtPiece(thinking)]
    said = text(part.get("text"))
    return [TextPiece(said)] if said else []


def _call(index: int, call: Json) -> CallStarted:
    return CallStarted(index, text(call.get("id")) or new_id("call_"), text(mapping(call.get("function")).get("name")))


def _arguments(call: Json) -> str:
    return text(mapping(call.get("function")).get("arguments"))


def _cited(citation: Json) -> list[Event]:
    """Sources that have an address; others mean something to Cohere's own clients only."""
    place = {"start_index": number(citation.get("start")), "end_index": number(citation.get("end"))}
    events: list[Event] = []
    for source in items(citation.get("sources")):
        found = mapping(source.get("document"))
        if url := text(found.get("url")):
            cited = {"url": url, "title": text(found.get("title")), **place}
            events.append(Cited({"type": "url_citation", "url_citation": cited}))
    return events


def failure_of(end: Json, cut: Container[str] = ()) -> UpstreamError | None:
    """The error a finish reason tells of. `cut`: reasons that do not make it one, of answers that were only cut off."""
    reason = text(end.get("finish_reason"))
    if reason not in FAILED or reason in cut:
        return None
    return reported(FAILED[reason], text(end.get("error")) or f"generation ended with {reason}", reason.lower())


def _end(end: Json, called: bool) -> list[Event]:
    reason = FINISH.get(text(end.get("finish_reason")), FinishReason.STOP)
    if reason is FinishReason.STOP and called:
        reason = FinishReason.TOOL_CALLS
    usage = mapping(end.get("usage"))
    for name in ("tokens", "billed_units"):
        figures = mapping(usage.get(name))
        if figures:
            prompt = clamped(figures.get("input_tokens"))
            cached = min(clamped(usage.get("cached_tokens")), prompt)
            return [
                Finished(reason),
                Counted(Usage(prompt, clamped(figures.get("output_tokens")), cached_tokens=cached)),
            ]
    return [Finished(reason)]
