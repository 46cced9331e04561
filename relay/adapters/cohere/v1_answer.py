"""Cohere's chat API v1: answers, whole or as a stream of one JSON document a line, as neutral events.

https://docs.cohere.com/v1/reference/chat, /v1/docs/streaming (under "Accepts: text/event-stream" the same documents
come as server-sent events, and are read too); relay contract of providers, 3.8. The text of an answer that calls tools
is the plan for them, and is shown as thoughts. Calls come without ids: they are given some.
"""

from __future__ import annotations

import orjson

from billing.pricing import Usage
from relay.adapters.base import LinesReader
from relay.adapters.cohere.answer import failure_of
from relay.adapters.shape import Json, chunk, clamped, items, mapping, number, text, texts
from relay.adapters.usual import reported
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

FINISH = {"MAX_TOKENS": FinishReason.LENGTH, "ERROR_LIMIT": FinishReason.LENGTH}


def read_chat(answer: Json) -> list[Event]:
    """A whole answer. Raises UpstreamError: it is none, or generation failed."""
    calls = items(answer.get("tool_calls"))
    if not isinstance(answer.get("text"), str) and not calls:
        raise reported(502, text(answer.get("message")) or "the upstream's answer holds no text")
    if failed := failure_of(answer, cut=FINISH):
        raise failed
    events: list[Event] = [Started(text(answer.get("response_id")))]
    if said := text(answer.get("text")):
        events.append(ThoughtPiece(said) if calls else TextPiece(said))
    for index, call in enumerate(calls):
        events += _whole_call(index, call)
    sources = _sources(answer.get("documents"))
    events += [cited for citation in items(answer.get("citations")) for cited in _cited(citation, sources)]
    return [*events, *_end(answer, answer, bool(calls))]


class LegacyReader(LinesReader):
    def __init__(self) -> None:
        super().__init__()
        self._calls_by_index: dict[int, int] = {}  # the upstream's index: ours
        self._empty: set[int] = set()  # our indexes of the calls that have no arguments yet
        self._sources: dict[str, Json] = {}

    def line(self, data: bytes) -> list[Event]:
        if self.ended or data.startswith((b"event:", b"id:", b":")):
            return []
        event = chunk(data.removeprefix(b"data:"))
        match event.get("event_type"):
            case "stream-start":
                return [Started(text(event.get("generation_id")))]
            case "text-generation":
                said = text(event.get("text"))
                return [TextPiece(said)] if said else []
            case "tool-calls-chunk":
                return self._delta(mapping(event.get("tool_call_delta")))
            case "tool-calls-generation":
                return self._generated(items(event.get("tool_calls")))
            case "search-results":
                self._sources |= _sources(event.get("documents"))
            case "citation-generation":
                return [
                    cited for citation in items(event.get("citations")) for cited in _cited(citation, self._sources)
                ]
            case "stream-end":
                return self._finish(event)
            case None if "message" in event:
                self.ended = True
                return [Failed(reported(502, text(event.get("message"))))]
        return []

    def _delta(self, delta: Json) -> list[Event]:
        """A piece of the plan, the name of a call, or a piece of its parameters as JSON text."""
        events: list[Event] = []
        if plan := text(delta.get("text")):
            events.append(ThoughtPiece(plan))
        index = number(delta.get("index"))
        if (name := text(delta.get("name"))) and index not in self._calls_by_index:
            events.append(self._start(index, name))
        ours = self._calls_by_index.get(index)
        if (fragment := text(delta.get("parameters"))) and ours is not None:
            self._empty.discard(ours)
            events.append(CallPiece(ours, fragment))
        return events

    def _start(self, index: int, name: str) -> CallStarted:
        ours = self._calls_by_index[index] = len(self._calls_by_index)
        self._empty.add(ours)
        return CallStarted(ours, new_id("call_"), name)

    def _generated(self, calls: list[Json]) -> list[Event]:
        """All calls, whole: news only where their pieces have not come."""
        events: list[Event] = []
        for index, call in enumerate(calls):
            if index not in self._calls_by_index:
                events.append(self._start(index, text(call.get("name"))))
            ours = self._calls_by_index[index]
            if ours in self._empty:
                self._empty.discard(ours)
                events.append(CallPiece(ours, _parameters(call)))
        return events

    def _finish(self, event: Json) -> list[Event]:
        self.ended = self.over = True
        response = mapping(event.get("response"))
        if failed := failure_of({**response, **event}, cut=FINISH):
            return [Failed(failed)]
        events: list[Event] = [CallPiece(ours, "{}") for ours in sorted(self._empty)]
        return [*events, *_end(event, response, bool(self._calls_by_index))]


def _whole_call(index: int, call: Json) -> list[Event]:
    return [CallStarted(index, new_id("call_"), text(call.get("name"))), CallPiece(index, _parameters(call))]


def _parameters(call: Json) -> str:
    return orjson.dumps(mapping(call.get("parameters"))).decode()


def _sources(documents: object) -> dict[str, Json]:
    return {text(found.get("id")): found for found in items(documents)}


def _cited(citation: Json, sources: dict[str, Json]) -> list[Event]:
    """Sources that have an address; others mean something to Cohere's own clients only."""
    place = {"start_index": number(citation.get("start")), "end_index": number(citation.get("end"))}
    events: list[Event] = []
    for name in texts(citation.get("document_ids")):
        found = sources.get(name, {})
        if url := text(found.get("url")):
            cited = {"url": url, "title": text(found.get("title")), **place}
            events.append(Cited({"type": "url_citation", "url_citation": cited}))
    return events


def _end(end: Json, response: Json, called: bool) -> list[Event]:
    """`end` tells why, `response` how much; of a whole answer they are one."""
    said = text(end.get("finish_reason")) or text(response.get("finish_reason"))
    reason = FINISH.get(said, FinishReason.TOOL_CALLS if called else FinishReason.STOP)
    meta = mapping(response.get("meta"))
    for name in ("tokens", "billed_units"):
        if figures := mapping(meta.get(name)):
            usage = Usage(clamped(figures.get("input_tokens")), clamped(figures.get("output_tokens")))
            return [Finished(reason), Counted(usage)]
    return [Finished(reason)]
