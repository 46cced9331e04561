"""Answers in the form of Anthropic's Messages API: the whole message, and the events of a stream in their order.

https://platform.claude.com/docs/en/api/messages, /build-with-claude/streaming: message_start; for every content block
content_block_start, its deltas, content_block_stop; message_delta with the stop reason and the usage; message_stop.
"""

from __future__ import annotations

import orjson

from billing.pricing import Usage
from relay.dialects.anthropic.errors import error_body
from relay.dialects.openai.writer import picture
from relay.errors import RelayError
from relay.neutral.events import (
    Answer,
    CallPiece,
    CallStarted,
    Choice,
    Cited,
    Counted,
    Event,
    Finished,
    FinishReason,
    Json,
    MediaPiece,
    RefusalPiece,
    Started,
    TextPiece,
    ThoughtPiece,
    new_id,
)
from relay.neutral.request import load_arguments

STOP_REASONS = {
    FinishReason.STOP: "end_turn",
    FinishReason.LENGTH: "max_tokens",
    FinishReason.TOOL_CALLS: "tool_use",
    FinishReason.CONTENT_FILTER: "refusal",
}
FOREIGN_PREFIX = "chatcmpl-"


def message_id(identity: str) -> str:
    if not identity:
        return new_id("msg_")
    return identity if identity.startswith("msg_") else "msg_" + identity.removeprefix(FOREIGN_PREFIX)


def usage_of(usage: Usage | None) -> Json:
    """`input_tokens` is what was neither read from a cache nor written to one."""
    usage = usage or Usage(0, 0)
    written = usage.cache_write_tokens + usage.cache_write_long_tokens
    shown: Json = {
        "input_tokens": max(usage.prompt_tokens - usage.cached_tokens - written, 0),
        "cache_creation_input_tokens": written,
        "cache_read_input_tokens": usage.cached_tokens,
        "output_tokens": usage.completion_tokens,
    }
    if usage.reasoning_tokens:
        shown["output_tokens_details"] = {"thinking_tokens": usage.reasoning_tokens}
    return shown


def _with_lifetimes(shown: Json, usage: Usage | None) -> Json:
    if usage is None or not shown["cache_creation_input_tokens"]:
        return shown
    lives = {
        "ephemeral_5m_input_tokens": usage.cache_write_tokens,
        "ephemeral_1h_input_tokens": usage.cache_write_long_tokens,
    }
    return {**shown, "cache_creation": lives}


def stop_of(reason: FinishReason | None, stop_sequence: str, refused: bool, called: bool) -> Json:
    if called and reason in (None, FinishReason.STOP):
        reason = FinishReason.TOOL_CALLS
    stopped = "refusal" if refused else STOP_REASONS.get(reason or FinishReason.STOP, "end_turn")
    if stop_sequence:
        stopped = "stop_sequence"
    return {"stop_reason": stopped, "stop_sequence": stop_sequence or None}


def citation(annotation: Json) -> Json | None:
    """A cited address as the citation of a web search. Nothing can be looked up by its index, which stays empty."""
    source = annotation.get("url_citation")
    if not isinstance(source, dict) or not isinstance(source.get("url"), str):
        return None
    title = source.get("title")
    return {
        "type": "web_search_result_location",
        "url": source["url"],
        "title": title if isinstance(title, str) else None,
        "cited_text": "",
        "encrypted_index": "",
    }


def whole(answer: Answer, model: str, shows_thoughts: bool) -> bytes:
    """The first choice; a request of this dialect cannot ask for more."""
    choice = answer.choices[0] if answer.choices else Choice(0)
    content: list[Json] = []
    for thought in choice.thoughts:
        if thought.redacted:
            content.append({"type": "redacted_thinking", "data": thought.redacted})
        elif thought.signature or shows_thoughts:
            text = thought.text if shows_thoughts else ""
            content.append({"type": "thinking", "thinking": text, "signature": thought.signature})
    said = choice.text + "".join(picture(media) for media in choice.media) + choice.refusal
    if said:
        block: Json = {"type": "text", "text": said}
        if citations := [made for one in choice.annotations if (made := citation(one))]:
            block["citations"] = citations
        content.append(block)
    content += [
        {
            "type": "tool_use",
            "id": call.id or new_id("toolu_"),
            "name": call.name,
            "input": load_arguments(call.arguments),
        }
        for call in choice.calls
    ]
    message = {
        "id": message_id(answer.id),
        "type": "message",
        "role": "assistant",
        "model": model,
        "content": content,
        **stop_of(choice.finish, choice.stop_sequence, bool(choice.refusal), bool(choice.calls)),
        "usage": _with_lifetimes(usage_of(answer.usage), answer.usage),
    }
    return orjson.dumps(message)


class MessageWriter:
    """Writes one stream. `shows_thoughts`: else a thought is only its signature, which a caller has to send back."""

    def __init__(self, model: str, shows_thoughts: bool) -> None:
        self._model = model
        self._shows = shows_thoughts
        self._started: Started | None = None
        self._begun = False  # message_start is out
        self._usage: Usage | None = None
        self._finished: Finished | None = None
        self._refused = False
        self._index = -1  # of the newest block
        self._open = ""  # the type of the block that is open
        self._call = -1  # the newest call
        self._arguments: list[str] = []  # of that one
        self._waiting: list[Event] = []  # what came before its arguments were whole

    def write(self, event: Event) -> bytes:
        """Nothing yet for `Started`: what it becomes names the prompt's tokens, if an upstream tells them first."""
        if isinstance(event, Started):
            self._started = event
            return b""
        if isinstance(event, Counted):
            self._usage = event.usage
        return self._begin() + self._in_turn(event)

    def _in_turn(self, event: Event) -> bytes:
        """Blocks do not overlap here: where an upstream's calls come in turns, the later ones wait for the first."""
        written = self._or_waits(event)
        if isinstance(event, CallPiece) and event.fragment.rstrip().endswith("}"):
            while self._waiting and self._is_whole():
                waiting, self._waiting = self._waiting, []
                written += b"".join(map(self._or_waits, waiting))
        return written

    def _or_waits(self, event: Event) -> bytes:
        if isinstance(event, Counted | Finished) or not (self._waiting or self._interrupts(event)):
            return self._write(event)
        if isinstance(event, CallPiece) and event.choice == 0 and event.index == self._call:
            return self._write(event)
        self._waiting.append(event)
        return b""

    def _interrupts(self, event: Event) -> bool:
        """Whether the event would close a call whose arguments are still to come."""
        return self._open == "tool_use" and not isinstance(event, CallPiece) and not self._is_whole()

    def _is_whole(self) -> bool:
        try:
            orjson.loads("".join(self._arguments))
        except orjson.JSONDecodeError:
            return False
        return True

    def _rest(self) -> bytes:
        """What still waits at the end, call by call."""
        pieces: dict[int, list[Event]] = {}
        for event in self._waiting:
            if isinstance(event, CallPiece) and event.choice == 0:
                pieces.setdefault(event.index, []).append(event)
        written = b""
        for event in self._waiting:
            if not isinstance(event, CallPiece):
                written += self._write(event)
            if isinstance(event, CallStarted) and event.choice == 0:
                written += b"".join(map(self._write, pieces.pop(event.index, ())))
        self._waiting = []
        return written

    def _write(self, event: Event) -> bytes:
        match event:
            case TextPiece(choice=0):
                return self._text(event.text)
            case RefusalPiece(choice=0):
                self._refused = True
                return self._text(event.text)
            case ThoughtPiece(choice=0):
                return self._thought(event)
            case MediaPiece(choice=0):
                return self._text(picture(event))
            case CallStarted(choice=0):
                block = {"type": "tool_use", "id": event.id or new_id("toolu_"), "name": event.name, "input": {}}
                self._call, self._arguments = event.index, []
                return self._start(block)
            case CallPiece(choice=0) if event.fragment and self._open == "tool_use" and event.index == self._call:
                self._arguments.append(event.fragment)
                return self._delta({"type": "input_json_delta", "partial_json": event.fragment})
            case Cited(choice=0) if self._open == "text" and (made := citation(event.annotation)):
                return self._delta({"type": "citations_delta", "citation": made})
            case Finished(choice=0):
                self._finished = event
        return b""

    def end(self) -> bytes:
        rest = self._begin() + self._rest()
        finished = self._finished or Finished(FinishReason.STOP)
        delta = stop_of(finished.reason, finished.stop_sequence, self._refused, self._call >= 0)
        last = {"type": "message_delta", "delta": delta, "usage": usage_of(self._usage)}
        return rest + self._stop() + _event(last) + _event({"type": "message_stop"})

    def fail(self, error: RelayError, request_id: str) -> bytes:
        return _event(error_body(error, request_id))

    def _begin(self) -> bytes:
        if self._begun:
            return b""
        self._begun = True
        message: Json = {
            "id": message_id(self._started.id if self._started else ""),
            "type": "message",
            "role": "assistant",
            "model": self._model,
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            "usage": _with_lifetimes(usage_of(self._usage), self._usage),
        }
        return _event({"type": "message_start", "message": message})

    def _text(self, text: str) -> bytes:
        if not text:
            return b""
        opened = b"" if self._open == "text" else self._start({"type": "text", "text": ""})
        return opened + self._delta({"type": "text_delta", "text": text})

    def _thought(self, piece: ThoughtPiece) -> bytes:
        if piece.redacted:
            return self._start({"type": "redacted_thinking", "data": piece.redacted}) + self._stop()
        text = piece.text if self._shows else ""
        if not text and not piece.signature:
            return b""
        opened = b""
        if self._open != "thinking":
            opened = self._start({"type": "thinking", "thinking": "", "signature": ""})
        if text:
            opened += self._delta({"type": "thinking_delta", "thinking": text})
        if piece.signature:
            opened += self._delta({"type": "signature_delta", "signature": piece.signature}) + self._stop()
        return opened

    def _start(self, block: Json) -> bytes:
        closed = self._stop()
        self._index += 1
        self._open = block["type"]
        began = _event({"type": "content_block_start", "index": self._index, "content_block": block})
        return closed + began + (PING if self._index == 0 else b"")

    def _delta(self, delta: Json) -> bytes:
        return _event({"type": "content_block_delta", "index": self._index, "delta": delta})

    def _stop(self) -> bytes:
        if not self._open:
            return b""
        self._open = ""
        return _event({"type": "content_block_stop", "index": self._index})


def _event(document: Json) -> bytes:
    name: str = document["type"]
    return b"event: " + name.encode() + b"\ndata: " + orjson.dumps(document) + b"\n\n"


PING = _event({"type": "ping"})  # after the first block has begun, as Anthropic does
