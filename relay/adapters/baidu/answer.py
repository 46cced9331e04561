"""Wenxin's answers, whole or as stream events, as neutral events; and its errors, which come with status 200.

https://cloud.baidu.com/doc/WENXINWORKSHOP/s/clntwmv7t, /s/tlmyncueh (error codes); relay contract of providers, 3.11.
"""

from __future__ import annotations

from billing.pricing import Usage
from relay.adapters.shape import Json, chunk, clamped, mapping, number, text
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

TOKEN_REFUSED = frozenset({110, 111})  # the access token is invalid, or has ended
STATUS = {
    **dict.fromkeys((13, 14, 15, 110, 111), 401),
    **dict.fromkeys((4, 17, 18, 19, *range(336501, 336508)), 429),
    6: 403,
    3: 404,
    **dict.fromkeys((*range(336001, 336008), *range(336103, 336106)), 400),
    **dict.fromkeys((2, 336100), 503),
}
FINISH = {
    "length": FinishReason.LENGTH,
    "content_filter": FinishReason.CONTENT_FILTER,
    "function_call": FinishReason.TOOL_CALLS,
}


def error_in(document: Json) -> UpstreamError | None:
    code = number(document.get("error_code"))
    if not code:
        return None
    return reported(STATUS.get(code, 500), text(document.get("error_msg")), code, "baidu_error")


def read_chat(answer: Json) -> list[Event]:
    """Raises UpstreamError: an error, or no answer."""
    _raise_error(answer)
    if "result" not in answer and "function_call" not in answer:
        raise UpstreamError("the upstream's answer holds no result", code="empty_answer")
    pieces = _said(answer)
    called = any(isinstance(event, CallStarted) for event in pieces)
    return [_started(answer), *pieces, Finished(_finish(answer, called)), *_counted(answer)]


def read_vectors(answer: Json) -> Vectors:
    """Raises UpstreamError."""
    _raise_error(answer)
    vectors = vectors_in(answer.get("data"), "index", "embedding")
    usage = mapping(answer.get("usage"))
    tokens = clamped(usage.get("prompt_tokens")) or clamped(usage.get("total_tokens"))
    return Vectors(vectors, Usage(tokens, 0) if tokens else None)


def _raise_error(answer: Json) -> None:
    error = error_in(answer)
    if error is not None:
        raise error


class WenxinReader(StreamOrDocument):
    """`is_end` marks the last event; there is no `[DONE]`."""

    def __init__(self) -> None:
        super().__init__()
        self._started = False
        self._called = False

    def error_in(self, document: Json) -> UpstreamError | None:
        return error_in(document)

    def payload(self, data: bytes) -> list[Event]:
        if self.ended:
            return []
        part = chunk(data)
        error = error_in(part)
        if error is not None:
            self.ended = True
            return [Failed(error)]
        events: list[Event] = []
        if part and not self._started:
            self._started = True
            events.append(_started(part))
        pieces = _said(part) if not self._called else []  # a turn calls one function, and says no more
        self._called = self._called or any(isinstance(event, CallStarted) for event in pieces)
        events += pieces
        if part.get("is_end") is True:
            self.ended = True
            events.append(Finished(_finish(part, self._called)))
        return [*events, *_counted(part)]


def _started(answer: Json) -> Event:
    return Started(text(answer.get("id")), max(number(answer.get("created")), 0))


def _said(answer: Json) -> list[Event]:
    """What is thought before a function is called comes with the call."""
    events: list[Event] = []
    if result := text(answer.get("result")):
        events.append(TextPiece(result))
    call = mapping(answer.get("function_call"))
    if name := text(call.get("name")):
        if thought := text(call.get("thoughts")):
            events.append(ThoughtPiece(thought))
        events += [CallStarted(0, new_id("call_"), name), CallPiece(0, text(call.get("arguments")) or "{}")]
    return events


def _finish(answer: Json, called: bool) -> FinishReason:
    told = text(answer.get("finish_reason"))
    if not told and answer.get("is_truncated") is True:
        return FinishReason.LENGTH
    return FINISH.get(told, FinishReason.TOOL_CALLS if called else FinishReason.STOP)


def _counted(answer: Json) -> list[Event]:
    """The total is what is billed: streams report too few tokens of the completion by themselves."""
    usage = mapping(answer.get("usage"))
    prompt, completion = clamped(usage.get("prompt_tokens")), clamped(usage.get("completion_tokens"))
    completion = max(completion, clamped(usage.get("total_tokens")) - prompt)
    return [Counted(Usage(prompt, completion))] if prompt or completion else []
