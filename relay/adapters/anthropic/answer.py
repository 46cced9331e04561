"""Anthropic's messages, whole or as stream events, as neutral events.

https://platform.claude.com/docs/en/build-with-claude/streaming; relay contract of providers, 3.2. `Events` takes one
decoded event at a time, so that a cloud with another framing (Bedrock's binary one) can use it too; a whole message is
read as the events it would have been.
"""

from __future__ import annotations

from collections.abc import Iterator

import orjson

from billing.pricing import Usage
from relay.adapters.base import SseReader
from relay.adapters.shape import clamped, document, items, mapping, text
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
    Json,
    Started,
    TextPiece,
    ThoughtPiece,
)
from relay.upstream_errors import normalise

FINISH = {
    "end_turn": FinishReason.STOP,
    "stop_sequence": FinishReason.STOP,
    "pause_turn": FinishReason.STOP,
    "max_tokens": FinishReason.LENGTH,
    "model_context_window_exceeded": FinishReason.LENGTH,
    "tool_use": FinishReason.TOOL_CALLS,
    "refusal": FinishReason.CONTENT_FILTER,
}
# An error inside a 200 or a stream has no status of its own (https://platform.claude.com/docs/en/api/errors).
STATUS = {
    "invalid_request_error": 400,
    "authentication_error": 401,
    "billing_error": 402,
    "permission_error": 403,
    "not_found_error": 404,
    "request_too_large": 413,
    "rate_limit_error": 429,
    "timeout_error": 504,
    "overloaded_error": 529,
}


class Events:
    """One message's events, in order. `ended`: its own mark of completeness was seen; an error ends it too."""

    def __init__(self) -> None:
        self.ended = False
        self._usage = MessageUsage()
        self._calls = 0
        self._block: Json = {}  # the block that is open, as it began
        self._fragments = False  # its arguments have begun to come
        self._citations: list[Json] = []  # of the open block
        self._written = self._block_began = 0  # characters of text
        self._finished = False

    def read(self, event: Json) -> list[Event]:
        """What one event says; an unknown one, a ping and what belongs to the upstream's own tools say nothing."""
        match event.get("type"):
            case "message_start":
                message = mapping(event.get("message"))
                self._usage.take(mapping(message.get("usage")))
                started: list[Event] = [Started(text(message.get("id")))]
                return [*started, Counted(prompt)] if (prompt := self._usage.of_prompt()) else started
            case "content_block_start":
                return self._begin(mapping(event.get("content_block")))
            case "content_block_delta":
                return self._delta(mapping(event.get("delta")))
            case "content_block_stop":
                return self._stop()
            case "message_delta":
                return self._finish(mapping(event.get("delta")), mapping(event.get("usage")))
            case "message_stop":
                self.ended = True
                return [] if self._finished else self._finish({}, {})
            case "error":
                self.ended = True
                return [Failed(failure(event))]
        return []

    def _begin(self, block: Json) -> list[Event]:
        self._block, self._fragments, self._citations = block, False, items(block.get("citations"))
        self._block_began = self._written
        match block.get("type"):
            case "text":
                return self._text(text(block.get("text")))
            case "thinking":
                return _thought(text(block.get("thinking")), text(block.get("signature")))
            case "redacted_thinking":
                data = text(block.get("data"))
                return [ThoughtPiece(redacted=data)] if data else []
            case "tool_use":
                self._calls += 1
                return [CallStarted(self._calls - 1, text(block.get("id")), text(block.get("name")))]
        return [TextPiece("")]  # the upstream's own tools: nothing to count, but a sign that the answer has begun

    def _delta(self, delta: Json) -> list[Event]:
        match delta.get("type"):
            case "text_delta":
                return self._text(text(delta.get("text")))
            case "thinking_delta":
                return _thought(text(delta.get("thinking")), "")
            case "signature_delta":
                return _thought("", text(delta.get("signature")))
            case "input_json_delta" if self._block.get("type") == "tool_use":
                fragment = text(delta.get("partial_json"))
                if fragment:
                    self._fragments = True
                    return [CallPiece(self._calls - 1, fragment)]
            case "citations_delta":
                self._citations.append(mapping(delta.get("citation")))
        return []

    def _stop(self) -> list[Event]:
        block, self._block = self._block, {}
        if block.get("type") == "tool_use" and not self._fragments:
            return [CallPiece(self._calls - 1, orjson.dumps(mapping(block.get("input"))).decode())]
        cited: list[Event] = []
        for citation in self._citations:
            if url := text(citation.get("url")):
                place = {"start_index": self._block_began, "end_index": self._written}
                source = {"url": url, "title": text(citation.get("title")), **place}
                cited.append(Cited({"type": "url_citation", "url_citation": source}))
        self._citations = []
        return cited

    def _text(self, piece: str) -> list[Event]:
        self._written += len(piece)
        return [TextPiece(piece)] if piece else []

    def _finish(self, delta: Json, usage: Json) -> list[Event]:
        self._usage.take(usage)
        events: list[Event] = []
        said = text(delta.get("stop_reason"))
        if (said or self.ended) and not self._finished:
            self._finished = True
            reason = FINISH.get(said, FinishReason.STOP)
            if reason is FinishReason.STOP and self._calls:
                reason = FinishReason.TOOL_CALLS
            events.append(Finished(reason, stop_sequence=text(delta.get("stop_sequence"))))
        counted = self._usage.whole()
        return [*events, Counted(counted)] if counted else events


def _thought(thinking: str, signature: str) -> list[Event]:
    return [ThoughtPiece(thinking, signature)] if thinking or signature else []


class MessageUsage:
    """The figures of one message. Each report is cumulative and may leave some out, so the highest of each stands.

    `input_tokens` leaves out what was read from the cache and what was written to it; a prompt here is all three.
    """

    def __init__(self) -> None:
        self._input = self._read = self._written = self._written_long = self._output = self._thought = 0

    def take(self, usage: Json) -> None:
        written = mapping(usage.get("cache_creation"))
        short = clamped(written.get("ephemeral_5m_input_tokens"))
        long = clamped(written.get("ephemeral_1h_input_tokens"))
        self._input = max(self._input, clamped(usage.get("input_tokens")))
        self._read = max(self._read, clamped(usage.get("cache_read_input_tokens")))
        self._written = max(self._written, clamped(usage.get("cache_creation_input_tokens")), short + long)
        self._written_long = max(self._written_long, long)
        self._output = max(self._output, clamped(usage.get("output_tokens")))
        details = mapping(usage.get("output_tokens_details"))
        self._thought = max(self._thought, clamped(details.get("thinking_tokens")))

    def of_prompt(self) -> Usage | None:
        """Known at the start. What is said to be generated by then is not counted: its text is still to come."""
        whole = self._usage(0)
        return whole if whole.prompt_tokens else None

    def whole(self) -> Usage | None:
        whole = self._usage(self._output)
        return whole if whole.prompt_tokens or whole.completion_tokens else None

    def _usage(self, output: int) -> Usage:
        return Usage(
            prompt_tokens=self._input + self._read + self._written,
            completion_tokens=output,
            cached_tokens=self._read,
            cache_write_tokens=self._written - self._written_long,
            cache_write_long_tokens=self._written_long,
            reasoning_tokens=min(self._thought, output),
        )


class MessageReader(SseReader):
    """Reads a stream of server-sent events."""

    def __init__(self) -> None:
        super().__init__()
        self._events = Events()

    def payload(self, data: bytes) -> list[Event]:
        if self.ended or data.strip() == b"[DONE]":  # which some add that speak OpenAI's protocol too
            return []
        try:
            event = orjson.loads(data)
        except orjson.JSONDecodeError:
            self.ended = True
            return [Failed(UpstreamError("the upstream sent an event that is not JSON", code="bad_event"))]
        if not isinstance(event, dict):
            return []
        if "type" not in event and "error" in event:
            event = {**event, "type": "error"}  # proxies in front of the upstream report theirs so
        read = self._events.read(event)
        self.ended = self.over = self._events.ended
        return read


def read_message(body: bytes) -> list[Event]:
    """A whole answer's events. Raises UpstreamError: no message, or an error inside a 200."""
    message = document(body)
    if message.get("type") == "error" or (message.get("error") and "content" not in message):
        raise failure(message)
    if not isinstance(message.get("content"), list):
        raise UpstreamError("the upstream's answer is no message", code="bad_response")
    events = Events()
    return [read for event in _as_events(message) for read in events.read(event)]


def _as_events(message: Json) -> Iterator[Json]:
    yield {"type": "message_start", "message": message}
    for block in items(message.get("content")):
        yield {"type": "content_block_start", "content_block": block}
        yield {"type": "content_block_stop"}
    yield {"type": "message_delta", "delta": message}
    yield {"type": "message_stop"}


def failure(report: Json) -> UpstreamError:
    """The error an upstream reported inside a 200, with the status it would have had."""
    kind = text(mapping(report.get("error")).get("type"))
    return normalise(STATUS.get(kind, 500), orjson.dumps(report), None)


__all__ = ["Events", "MessageReader", "MessageUsage", "failure", "read_message"]
