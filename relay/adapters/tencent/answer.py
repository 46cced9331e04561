"""Hunyuan's answers, whole or as stream events, as neutral events; and its errors, which come with status 200.

https://cloud.tencent.com/document/api/1729/105701, /101841 (error codes); relay contract of providers, 3.12.
"""

from __future__ import annotations

from billing.pricing import Usage
from relay.adapters.shape import Json, chunk, clamped, items, mapping, number, text
from relay.adapters.stream_or_document import StreamOrDocument
from relay.adapters.usual import reported
from relay.adapters.vector_list import vectors_in
from relay.errors import UpstreamError
from relay.neutral.events import (
    CallPiece,
    CallStarted,
    Counted,
    Event,
    Failed,
    Finished,
    FinishReason,
    Started,
    TextPiece,
    ThoughtPiece,
    Vectors,
    new_id,
)

FINISH = {
    "sensitive": FinishReason.CONTENT_FILTER,
    "tool_calls": FinishReason.TOOL_CALLS,
    "length": FinishReason.LENGTH,
}
# The first that an error's code begins with; other errors are the upstream's own.
STATUS = (
    ("AuthFailure", 401),
    ("UnauthorizedOperation", 403),
    ("InvalidParameter", 400),
    ("MissingParameter", 400),
    ("UnknownParameter", 400),
    ("UnsupportedOperation", 400),
    ("LimitExceeded", 429),
    ("RequestLimitExceeded", 429),
    ("ResourceInsufficient", 429),
    ("ResourceUnavailable", 403),
    ("FailedOperation.EngineRequestTimeout", 504),
    ("FailedOperation.EngineServerLimitExceeded", 429),
    ("FailedOperation.FreeResourcePackExhausted", 403),
    ("FailedOperation.ResourcePackExhausted", 403),
    ("FailedOperation.ServiceNotActivated", 403),
    ("FailedOperation.ServiceStop", 403),
    ("FailedOperation.UserUnAuthError", 403),
)


def error_in(document: Json) -> UpstreamError | None:
    """The error of an answer (`Response.Error`) or of an event (`ErrorMsg`)."""
    answer = mapping(document.get("Response")) or document
    error = mapping(answer.get("Error"))
    if error:
        return _reported(text(error.get("Code")), text(error.get("Message")))
    told = mapping(answer.get("ErrorMsg"))
    if told.get("Msg") or number(told.get("Code")):
        return reported(500, text(told.get("Msg")), told.get("Code"), "tencent_error")
    return None


def _reported(code: str, message: str) -> UpstreamError:
    status = next((status for beginning, status in STATUS if code.startswith(beginning)), 500)
    return reported(status, message or code, code, "tencent_error")


def read_chat(document: Json) -> list[Event]:
    """Raises UpstreamError: an error, or no answer."""
    answer = _answer(document)
    choices = items(answer.get("Choices"))
    if not choices:
        raise UpstreamError("the upstream's answer has no choices", code="empty_answer")
    events: list[Event] = [_started(answer)]
    for choice in choices:
        events += _Pieces().read(choice, mapping(choice.get("Message")))
    return [*events, *_counted(answer)]


def read_vectors(document: Json) -> Vectors:
    """Raises UpstreamError."""
    answer = _answer(document)
    vectors = vectors_in(answer.get("Data"), "Index", "Embedding")
    usage = mapping(answer.get("Usage"))
    total = clamped(usage.get("TotalTokens")) or clamped(usage.get("PromptTokens"))
    return Vectors(vectors, Usage(total, 0) if total else None)


def _answer(document: Json) -> Json:
    error = error_in(document)
    if error is not None:
        raise error
    return mapping(document.get("Response")) or document


class HunyuanReader(StreamOrDocument):
    """Events are not wrapped in `Response`; whether `[DONE]` follows the last one is not documented."""

    def __init__(self) -> None:
        super().__init__()
        self._pieces: dict[int, _Pieces] = {}
        self._started = self._failed = False

    def error_in(self, document: Json) -> UpstreamError | None:
        return error_in(document)

    def payload(self, data: bytes) -> list[Event]:
        if self._failed:
            return []
        if data.strip() == b"[DONE]":
            self.ended = True
            return []
        part = chunk(data)
        error = error_in(part)
        if error is not None:
            self._failed = self.ended = True
            return [Failed(error)]
        choices = items(part.get("Choices"))
        events: list[Event] = []
        if choices and not self._started:
            self._started = True
            events.append(_started(part))
        for choice in choices:
            pieces = self._pieces.setdefault(max(number(choice.get("Index")), 0), _Pieces())
            events += pieces.read(choice, mapping(choice.get("Delta")))
            self.ended = self.ended or pieces.finished
        return [*events, *_counted(part)]


def _started(answer: Json) -> Event:
    upstream_id = text(answer.get("RequestId")) or text(answer.get("Id"))
    return Started(upstream_id, max(number(answer.get("Created")), 0))


def _counted(answer: Json) -> list[Event]:
    usage = mapping(answer.get("Usage"))
    prompt, completion = clamped(usage.get("PromptTokens")), clamped(usage.get("CompletionTokens"))
    return [Counted(Usage(prompt, completion))] if prompt or completion else []


class _Pieces:
    """The pieces of one choice."""

    def __init__(self) -> None:
        self.finished = False
        self._calls: dict[tuple[int, str], int] = {}  # (their index, their id): our index
        self._latest: dict[int, int] = {}  # their index: our index of the call last begun under it

    def read(self, choice: Json, said: Json) -> list[Event]:
        index = max(number(choice.get("Index")), 0)
        events: list[Event] = []
        if thought := text(said.get("ReasoningContent")):
            events.append(ThoughtPiece(thought, choice=index))
        if content := text(said.get("Content")):
            events.append(TextPiece(content, index))
        for place, call in enumerate(items(said.get("ToolCalls"))):
            events += self._call(number(call.get("Index", place)), call, index)
        reason = text(choice.get("FinishReason"))
        if reason and not self.finished:
            self.finished = True
            usual = FinishReason.TOOL_CALLS if self._calls else FinishReason.STOP
            events.append(Finished(FINISH.get(reason, usual), index))
        return events

    def _call(self, theirs: int, call: Json, choice: int) -> list[Event]:
        function = mapping(call.get("Function"))
        call_id = text(call.get("Id"))
        events: list[Event] = []
        ours = self._calls.get((theirs, call_id)) if call_id else self._latest.get(theirs)
        if ours is None:
            ours = self._latest[theirs] = len(self._calls)
            self._calls[theirs, call_id] = ours
            events.append(CallStarted(ours, call_id or new_id("call_"), text(function.get("Name")), choice))
        fragment = text(function.get("Arguments"))
        return [*events, CallPiece(ours, fragment, choice)] if fragment else events
