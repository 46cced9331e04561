"""Neutral events as a Responses stream, and the response object it ends with.

https://platform.openai.com/docs/api-reference/responses-streaming and .../responses/object. Every event carries its
type twice (`event:` line and member) and a number; there is no `[DONE]`.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import orjson

from billing.pricing import Usage
from relay.adapters.shape import mapping, texts
from relay.dialects.openai.writer import picture, prefixed
from relay.dialects.responses import tools as responses_tools
from relay.dialects.responses.input import Declared
from relay.dialects.responses.items import CustomCall, Events, FunctionCall, Item, Message, Picture, Reasoning
from relay.errors import RelayError
from relay.neutral.events import (
    Answer,
    CallPiece,
    CallStarted,
    Cited,
    Counted,
    Event,
    Failed,
    Finished,
    FinishReason,
    Logprobs,
    MediaPiece,
    RefusalPiece,
    Started,
    TextPiece,
    ThoughtPiece,
)
from relay.types import Call

Json = dict[str, Any]

INCOMPLETE = {FinishReason.LENGTH: "max_output_tokens", FinishReason.CONTENT_FILTER: "content_filter"}


def usage_document(usage: Usage) -> Json:
    """Clients fail to parse an answer without either of the details."""
    return {
        "input_tokens": usage.prompt_tokens,
        "input_tokens_details": {
            "cached_tokens": usage.cached_tokens,
            "cache_write_tokens": usage.cache_write_tokens + usage.cache_write_long_tokens,
        },
        "output_tokens": usage.completion_tokens,
        "output_tokens_details": {"reasoning_tokens": usage.reasoning_tokens},
        "total_tokens": usage.prompt_tokens + usage.completion_tokens,
    }


class ResponseWriter:
    """One answer. `response` is the object as it stands; a response has one choice, so others are left out."""

    def __init__(self, call: Call) -> None:
        self._known = responses_tools.declared(call.document)
        self._seals = "reasoning.encrypted_content" in texts(call.document.get("include"))
        self._number = 0
        self._items: list[Item] = []
        self._open: list[Item] = []
        self._calls: dict[int, FunctionCall | CustomCall] = {}
        self._finish: FinishReason | None = None
        self._started = False
        self.response = _response(call)

    def write(self, event: Event) -> bytes:
        if isinstance(event, Started):
            return self._start(event)
        if isinstance(event, Counted):
            self.response["usage"] = usage_document(event.usage)
            return b""
        if isinstance(event, Failed) or event.choice:
            return b""
        opening = b"" if self._started else self._start(Started())
        return opening + self._sent(self._events(event))

    def end(self) -> bytes:
        opening = b"" if self._started else self._start(Started())
        closing = opening + self._sent(self._close())
        reason = INCOMPLETE.get(self._finish or FinishReason.STOP)
        self.response["status"] = "incomplete" if reason else "completed"
        self.response["incomplete_details"] = {"reason": reason} if reason else None
        self.response["completed_at"] = None if reason else int(time.time())
        return closing + self._sent([("response." + self.response["status"], {"response": self._snapshot()})])

    def fail(self, error: RelayError, request_id: str) -> bytes:
        """Of a stream that was passed on, too: then its beginning was not written here, and is not repeated."""
        self._name(Started())
        self.response["status"] = "failed"
        code = "rate_limit_exceeded" if error.status == 429 else "server_error"
        self.response["error"] = {"code": code, "message": f"{error.message} (request id: {request_id})"}
        return self._sent([("response.failed", {"response": self._snapshot()})])

    def _start(self, event: Started) -> bytes:
        if self._started:
            return b""
        self._started = True
        self._name(event)
        begun = {"response": self._snapshot()}
        return self._sent([("response.created", begun), ("response.in_progress", begun)])

    def _name(self, event: Started) -> None:
        if not self.response["id"]:
            self.response["id"] = prefixed(event.id.removeprefix("chatcmpl-"), "resp_")
            self.response["created_at"] = event.created or int(time.time())

    def _snapshot(self) -> Json:
        self.response["output"] = [item.document for item in self._items if item not in self._open]
        return self.response

    def _sent(self, events: Events) -> bytes:
        written = []
        for kind, members in events:
            document = {"type": kind, "sequence_number": self._number, **members}
            self._number += 1
            written.append(b"event: " + kind.encode() + b"\ndata: " + orjson.dumps(document) + b"\n\n")
        return b"".join(written)

    def _events(self, event: Event) -> Events:
        match event:
            case TextPiece(text=said):
                return self._message(lambda message: message.text(said)) if said else []
            case RefusalPiece(text=said):
                return self._message(lambda message: message.refusal(said)) if said else []
            case Cited(annotation=annotation):
                return self._message(lambda message: message.annotation(annotation))
            case ThoughtPiece():
                return self._thought(event)
            case MediaPiece():
                return self._media(event)
            case CallStarted():
                return self._call(event)
            case CallPiece():
                called = self._calls.get(event.index)
                return called.arguments(event.fragment) if called is not None and event.fragment else []
            case Logprobs() if isinstance(self._last, Message):
                self._last.logprobs(event.entries)
            case Finished():
                self._finish = self._finish or event.reason
                return self._close()
        return []

    @property
    def _last(self) -> Item | None:
        return self._open[-1] if self._open else None

    def _message(self, tell: Callable[[Message], Events]) -> Events:
        message = self._last
        if isinstance(message, Message):
            return tell(message)
        message = Message(len(self._items))
        return self._close() + self._begin(message) + tell(message)

    def _thought(self, event: ThoughtPiece) -> Events:
        """A signature ends its block. One that stands alone is kept for callers who will bring it back."""
        sealed = bool(event.signature or event.redacted) and self._seals
        if not event.text and not sealed:
            return self._close() if event.signature and isinstance(self._last, Reasoning) else []
        events: Events = []
        reasoning = self._last
        if not isinstance(reasoning, Reasoning) or event.redacted:
            reasoning = Reasoning(len(self._items))
            events = self._close() + self._begin(reasoning)
        if event.text:
            events += reasoning.thought(event.text)
        if sealed:
            reasoning.seal(event.signature, event.redacted)
        return events + (self._close() if event.signature or event.redacted else [])

    def _media(self, event: MediaPiece) -> Events:
        if not event.mime.startswith("image/"):
            return self._message(lambda message: message.text(picture(event)))
        return self._close() + self._begin(Picture(len(self._items), event.data)) + self._close()

    def _call(self, event: CallStarted) -> Events:
        """Calls stay open beside each other: their fragments may come in turns."""
        closing = [] if isinstance(self._last, FunctionCall | CustomCall) else self._close()
        known = self._known.get(event.name, Declared(event.name))
        place = len(self._items)
        called: FunctionCall | CustomCall = (
            CustomCall(place, event.id, known)
            if known.custom
            else FunctionCall(place, event.id, known, event.signature)
        )
        self._calls[event.index] = called
        return closing + self._begin(called)

    def _begin(self, item: Item) -> Events:
        self._items.append(item)
        self._open.append(item)
        return item.added()

    def _close(self) -> Events:
        status = "incomplete" if self._finish in INCOMPLETE else "completed"
        events = [event for item in self._open for event in item.finished(status)]
        self._open.clear()
        return events


def _response(call: Call) -> Json:
    """The object before anything is generated: what was asked for, as OpenAI repeats it."""
    asked = call.document
    reasoning, text = mapping(asked.get("reasoning")), mapping(asked.get("text"))
    return {
        "id": "",
        "object": "response",
        "created_at": 0,
        "status": "in_progress",
        "background": False,
        "completed_at": None,
        "error": None,
        "incomplete_details": None,
        "instructions": asked.get("instructions"),
        "max_output_tokens": asked.get("max_output_tokens"),
        "metadata": asked.get("metadata") or {},
        "model": call.model,
        "output": [],
        "parallel_tool_calls": asked.get("parallel_tool_calls") is not False,
        "previous_response_id": None,
        "reasoning": {"effort": reasoning.get("effort"), "summary": reasoning.get("summary")},
        "store": False,
        "temperature": asked.get("temperature"),
        "text": {**text, "format": text.get("format") or {"type": "text"}},
        "tool_choice": asked.get("tool_choice") or "auto",
        "tools": asked.get("tools") or [],
        "top_p": asked.get("top_p"),
        "truncation": asked.get("truncation") or "disabled",
        "usage": None,
        "user": asked.get("user"),
    }


def response_document(call: Call, answer: Answer) -> Json:
    """A whole answer: what its events, written one by one, end with."""
    writer = ResponseWriter(call)
    for event in _events_of(answer):
        writer.write(event)
    writer.end()
    return writer.response


def _events_of(answer: Answer) -> list[Event]:
    events: list[Event] = [Started(answer.id, answer.created)]
    for choice in answer.choices[:1]:
        events += choice.thoughts
        events += [TextPiece(choice.text)] if choice.text else []
        events += [Logprobs(choice.logprobs)] if choice.logprobs else []
        events += [Cited(annotation) for annotation in choice.annotations]
        events += [RefusalPiece(choice.refusal)] if choice.refusal else []
        events += choice.media
        for index, called in enumerate(choice.calls):
            events.append(CallStarted(index, called.id, called.name, signature=called.signature))
            events.append(CallPiece(index, called.arguments))
        events.append(Finished(choice.finish or FinishReason.STOP))
    return [*events, Counted(answer.usage)] if answer.usage else events
