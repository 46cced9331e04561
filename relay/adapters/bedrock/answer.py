"""What Bedrock's Converse API answers, whole or as a stream, as neutral events.

https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html and API_runtime_ConverseStream.html;
relay contract of providers, 3.5. A stream's figures come after its end is told.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Protocol

import orjson

from billing.pricing import Usage
from relay.adapters.base import Reader, broken_off
from relay.adapters.eventstream import BadFrame, Decoder, Message
from relay.adapters.shape import Json, chunk, clamped, document, items, mapping, number, text
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
    MediaPiece,
    Started,
    TextPiece,
    ThoughtPiece,
    new_id,
)

FINISH = {
    "max_tokens": FinishReason.LENGTH,
    "model_context_window_exceeded": FinishReason.LENGTH,
    "tool_use": FinishReason.TOOL_CALLS,
    "guardrail_intervened": FinishReason.CONTENT_FILTER,
    "content_filtered": FinishReason.CONTENT_FILTER,
}
# The statuses of errors that are told in a stream, by their names in lower case.
STATUS = {
    "accessdeniedexception": 403,
    "validationexception": 400,
    "resourcenotfoundexception": 404,
    "throttlingexception": 429,
    "servicequotaexceededexception": 429,
    "modelnotreadyexception": 429,
    "modeltimeoutexception": 408,
    "modelerrorexception": 424,
    "modelstreamerrorexception": 424,
    "internalserverexception": 500,
    "serviceunavailableexception": 503,
}
_ARN = re.compile(r"\barn:aws[a-z-]*:[^\s,;\"']+")  # names the operator's account


class Events:
    """The events of one answer, in order. `ended`: the model has stopped; `over`: its figures were told, too."""

    def __init__(self) -> None:
        self.ended = self.over = False
        self._calls: dict[int, int] = {}  # a content block's index: our index of the call it is
        self._empty: set[int] = set()  # blocks of calls that have no arguments yet
        self._images: dict[int, str] = {}  # media types of the blocks that are pictures
        self._written = 0  # characters of text

    def read(self, kind: str, event: Json) -> list[Event]:
        index = number(event.get("contentBlockIndex"))
        match kind:
            case "messageStart":
                return [Started()]
            case "contentBlockStart":
                return self._begin(index, mapping(event.get("start")))
            case "contentBlockDelta":
                return self._delta(index, mapping(event.get("delta")))
            case "contentBlockStop" if index in self._empty:
                self._empty.discard(index)
                return [CallPiece(self._calls[index], "{}")]
            case "messageStop" if not self.ended:
                self.ended = True
                reason = FINISH.get(text(event.get("stopReason")), FinishReason.STOP)
                if reason is FinishReason.STOP and self._calls:
                    reason = FinishReason.TOOL_CALLS
                return [Finished(reason)]
            case "metadata":
                self.over = self.ended
                usage = usage_of(mapping(event.get("usage")))
                return [Counted(usage)] if usage else []
        return []

    def _begin(self, index: int, start: Json) -> list[Event]:
        if isinstance(start.get("toolUse"), dict) and index not in self._calls:
            call = start["toolUse"]
            self._calls[index] = len(self._calls)
            self._empty.add(index)
            return [
                CallStarted(self._calls[index], text(call.get("toolUseId")) or new_id("call_"), text(call.get("name")))
            ]
        if isinstance(start.get("image"), dict):
            self._images[index] = f"image/{text(start['image'].get('format')) or 'png'}"
        return []

    def _delta(self, index: int, delta: Json) -> list[Event]:
        events: list[Event] = []
        if said := text(delta.get("text")):
            self._written += len(said)
            events.append(TextPiece(said))
        fragment = text(mapping(delta.get("toolUse")).get("input"))
        if fragment and index in self._calls:
            self._empty.discard(index)
            events.append(CallPiece(self._calls[index], fragment))
        reasoning = mapping(delta.get("reasoningContent"))
        thought = text(reasoning.get("text")), text(reasoning.get("signature")), text(reasoning.get("redactedContent"))
        if any(thought):
            events.append(ThoughtPiece(*thought))
        if picture := text(mapping(mapping(delta.get("image")).get("source")).get("bytes")):
            events.append(MediaPiece(self._images.get(index, "image/png"), picture))
        return events + self._cite(mapping(delta.get("citation")))

    def _cite(self, citation: Json) -> list[Event]:
        """Sources that have an address; others are places in the caller's own documents."""
        url = text(mapping(mapping(citation.get("location")).get("web")).get("url"))
        if not url:
            return []
        place = {"start_index": self._written, "end_index": self._written}
        cited = {"url": url, "title": text(citation.get("title")), **place}
        return [Cited({"type": "url_citation", "url_citation": cited})]


def usage_of(usage: Json) -> Usage | None:
    """`inputTokens` leaves out what was read from the cache and written to it; a prompt here is all three."""
    read, written = clamped(usage.get("cacheReadInputTokens")), clamped(usage.get("cacheWriteInputTokens"))
    details = items(usage.get("cacheDetails"))
    long = sum(clamped(detail.get("inputTokens")) for detail in details if detail.get("ttl") == "1h")
    long = min(long, written)
    prompt, completion = clamped(usage.get("inputTokens")) + read + written, clamped(usage.get("outputTokens"))
    if not prompt and not completion:
        return None
    return Usage(
        prompt,
        completion,
        cached_tokens=read,
        cache_write_tokens=written - long,
        cache_write_long_tokens=long,
    )


def read_answer(body: bytes) -> list[Event]:
    """A whole answer, read as the stream it would have been. Raises UpstreamError: it is none."""
    answer = document(body)
    message = mapping(answer.get("output")).get("message")
    if not isinstance(message, dict):
        raise reported(502, text(answer.get("message")) or "the upstream's answer holds no message")
    events = Events()
    return [event for kind, each in _as_stream(answer, message) for event in events.read(kind, each)]


def _as_stream(answer: Json, message: Json) -> Iterator[tuple[str, Json]]:
    yield "messageStart", message
    for index, block in enumerate(items(message.get("content"))):
        starts, deltas = _opened(block)
        for start in starts:
            yield "contentBlockStart", {"contentBlockIndex": index, "start": start}
        for delta in deltas:
            yield "contentBlockDelta", {"contentBlockIndex": index, "delta": delta}
        yield "contentBlockStop", {"contentBlockIndex": index}
    yield "messageStop", answer
    yield "metadata", answer


def _opened(block: Json) -> tuple[list[Json], list[Json]]:
    """A whole content block as its start and what its deltas would have been."""
    if isinstance(block.get("toolUse"), dict):
        call = block["toolUse"]
        return [{"toolUse": call}], [{"toolUse": {"input": orjson.dumps(mapping(call.get("input"))).decode()}}]
    if isinstance(block.get("image"), dict):
        return [{"image": block["image"]}], [{"image": block["image"]}]
    if isinstance(block.get("citationsContent"), dict):
        cited = block["citationsContent"]
        pieces: list[Json] = [{"text": text(piece.get("text"))} for piece in items(cited.get("content"))]
        return [], [*pieces, *({"citation": citation} for citation in items(cited.get("citations")))]
    if isinstance(block.get("reasoningContent"), dict):
        reasoning = block["reasoningContent"]
        redacted = {"redactedContent": reasoning.get("redactedContent")}
        return [], [{"reasoningContent": mapping(reasoning.get("reasoningText")) or redacted}]
    return [], [block]


class Told(Protocol):
    """What the events of a stream say, by their kinds. `ended`: the answer is whole; `over`: nothing follows."""

    @property
    def ended(self) -> bool: ...
    @property
    def over(self) -> bool: ...
    def read(self, kind: str, event: Json) -> list[Event]:
        """Raises BadFrame: the event cannot be read."""


class FrameReader(Reader):
    """Reads a binary event stream."""

    def __init__(self, events: Told) -> None:
        self._decoder = Decoder()
        self._events = events
        self._failed = False

    def feed(self, chunk: bytes) -> list[Event]:
        events: list[Event] = []
        if self._failed:
            return events
        try:
            for message in self._decoder.feed(chunk):
                events += self._read(message)
        except BadFrame as error:
            if not self._failed:
                self._failed = True
                events.append(Failed(UpstreamError(f"the upstream's stream is damaged: {error}", code="bad_event")))
        self.over = self._events.over
        return events

    def close(self) -> list[Event]:
        whole = self._events.ended and self._decoder.empty
        return [] if whole or self._failed else [broken_off()]

    def _read(self, message: Message) -> list[Event]:
        if self._failed:
            return []
        headers = message.headers
        event = chunk(message.payload)
        match headers.get(":message-type"):
            case "event":
                events = self._events.read(headers.get(":event-type", ""), event)
                self._failed = any(isinstance(each, Failed) for each in events)
                return events
            case "exception":
                name = headers.get(":exception-type", "")
                said = text(event.get("message")) or text(event.get("originalMessage"))
            case "error":
                name, said = headers.get(":error-code", ""), headers.get(":error-message", "")
            case _:
                return []
        self._failed = True
        return [Failed(failure(STATUS.get(name.lower(), 500), said or name, name))]


def failure(status: int, message: str, name: str = "", retry_after: float | None = None) -> UpstreamError:
    """Bedrock's messages quote resource names, which hold the operator's account: they go."""
    return reported(status, _ARN.sub("[resource]", message), name or None, retry_after=retry_after)
