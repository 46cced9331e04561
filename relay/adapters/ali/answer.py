"""DashScope's answers, whole or as stream events, as neutral events; and its errors.

https://help.aliyun.com/en/model-studio/qwen-api-via-dashscope, /error-code; relay contract of providers, 3.10.
"""

from __future__ import annotations

import orjson

from billing.pricing import Usage
from relay.adapters.shape import Json, chunk, clamped, items, mapping, number, text
from relay.adapters.stream_or_document import StreamOrDocument
from relay.adapters.vector_list import vectors_in
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
    Logprobs,
    Started,
    TextPiece,
    ThoughtPiece,
    Vectors,
    new_id,
)
from relay.upstream_errors import normalise

FINISH = {"length": FinishReason.LENGTH, "tool_calls": FinishReason.TOOL_CALLS}
GOING_ON = ("", "null")  # finish reasons of a choice that is not finished
# The first that an error's code begins with; other errors are the upstream's own.
STATUS = (
    ("InvalidApiKey", 401),
    ("AccessDenied", 403),
    ("Model.AccessDenied", 403),
    ("Workspace.AccessDenied", 403),
    ("Arrearage", 403),
    ("ModelNotFound", 404),
    ("Throttling", 429),
    ("LimitRequests", 429),
    ("InvalidParameter", 400),
    ("InvalidURL", 400),
    ("BadRequest", 400),
    ("DataInspectionFailed", 400),
    ("data_inspection_failed", 400),
    ("invalid_parameter", 400),
    ("RequestTimeOut", 504),
    ("ServiceUnavailable", 503),
    ("ModelUnavailable", 503),
)


def error_in(answer: Json) -> UpstreamError | None:
    """The error of an answer with status 200, of an event, or of a task."""
    code = text(answer.get("code"))
    return failure(answer, _status(code)) if code else None


def failure(answer: Json, status: int, retry_after: float | None = None) -> UpstreamError:
    """`answer`: {"code", "message", "request_id"}."""
    code, message = text(answer.get("code")), text(answer.get("message"))
    error = {"message": message or code, "type": code, "param": text(answer.get("request_id")), "code": code}
    return normalise(status, orjson.dumps({"error": error}), retry_after)


def _status(code: str) -> int:
    return next((status for beginning, status in STATUS if code.startswith(beginning)), 500)


def read_chat(answer: Json) -> list[Event]:
    """Raises UpstreamError: an error, or no answer."""
    if error := error_in(answer):
        raise error
    events = Events()
    read = events.read(answer)
    if not events.started:
        raise UpstreamError("the upstream's answer holds no output", code="empty_answer")
    return read


def read_vectors(answer: Json) -> Vectors:
    """Raises UpstreamError."""
    if error := error_in(answer):
        raise error
    vectors = vectors_in(mapping(answer.get("output")).get("embeddings"), "text_index", "embedding")
    usage = mapping(answer.get("usage"))
    tokens = clamped(usage.get("total_tokens")) or clamped(usage.get("input_tokens"))
    return Vectors(vectors, Usage(tokens, 0) if tokens else None)


class DashScopeReader(StreamOrDocument):
    """An end is a finish reason: there is no `[DONE]`."""

    def __init__(self) -> None:
        super().__init__()
        self._events = Events()
        self._failed = False

    def error_in(self, document: Json) -> UpstreamError | None:
        return error_in(document)

    def payload(self, data: bytes) -> list[Event]:
        if self._failed:
            return []
        part = chunk(data)
        if error := error_in(part):
            self._failed = self.ended = True
            return [Failed(error)]
        events = self._events.read(part)
        self.ended = self._events.ended
        return events


class Events:
    """One answer's events. Each event's text is what was added; its usage is of all so far."""

    def __init__(self) -> None:
        self.started = self.ended = False
        self._finished: set[int] = set()
        self._calls: dict[int, dict[int, int]] = {}  # choice -> their index of a call -> ours
        self._cited: set[str] = set()

    def read(self, answer: Json) -> list[Event]:
        output = mapping(answer.get("output"))
        choices = items(output.get("choices"))
        if not choices and ("text" in output or "finish_reason" in output):
            # The older form, `result_format` "text".
            choices = [{"message": {"content": output.get("text")}, "finish_reason": output.get("finish_reason")}]
        events: list[Event] = []
        if choices and not self.started:
            self.started = True
            events.append(Started(text(answer.get("request_id"))))
        events += self._sources(output)
        for place, choice in enumerate(choices):
            events += self._choice(choice, max(number(choice.get("index", place)), 0))
        return [*events, *_counted(mapping(answer.get("usage")))]

    def _choice(self, choice: Json, index: int) -> list[Event]:
        message = mapping(choice.get("message"))
        events: list[Event] = []
        if thought := text(message.get("reasoning_content")):
            events.append(ThoughtPiece(thought, choice=index))
        content = message.get("content")
        said = text(content) or "".join(text(part.get("text")) for part in items(content))
        if said:
            events.append(TextPiece(said, index))
        for place, call in enumerate(items(message.get("tool_calls"))):
            events += self._call(call, number(call.get("index", place)), index)
        if entries := items(mapping(choice.get("logprobs")).get("content")):
            events.append(Logprobs(entries, index))
        reason = text(choice.get("finish_reason"))
        if reason not in GOING_ON and index not in self._finished:
            self._finished.add(index)
            self.ended = True
            usual = FinishReason.TOOL_CALLS if self._calls.get(index) else FinishReason.STOP
            events.append(Finished(FINISH.get(reason, usual), index))
        return events

    def _call(self, call: Json, theirs: int, choice: int) -> list[Event]:
        """Fragments after the first have an empty id and no name."""
        function = mapping(call.get("function"))
        calls = self._calls.setdefault(choice, {})
        events: list[Event] = []
        if theirs not in calls:
            calls[theirs] = len(calls)
            call_id = text(call.get("id")) or new_id("call_")
            events.append(CallStarted(calls[theirs], call_id, text(function.get("name")), choice))
        fragment = text(function.get("arguments"))
        return [*events, CallPiece(calls[theirs], fragment, choice)] if fragment else events

    def _sources(self, output: Json) -> list[Event]:
        """What web search found; events repeat it."""
        events: list[Event] = []
        for found in items(mapping(output.get("search_info")).get("search_results")):
            url = text(found.get("url"))
            if url and url not in self._cited:
                self._cited.add(url)
                cited = {"url": url, "title": text(found.get("title")), "start_index": 0, "end_index": 0}
                events.append(Cited({"type": "url_citation", "url_citation": cited}))
        return events


def _counted(usage: Json) -> list[Event]:
    prompt, completion = clamped(usage.get("input_tokens")), clamped(usage.get("output_tokens"))
    if not prompt and not completion:
        return []
    cached = clamped(mapping(usage.get("prompt_tokens_details")).get("cached_tokens"))
    reasoning = clamped(mapping(usage.get("output_tokens_details")).get("reasoning_tokens"))
    return [
        Counted(
            Usage(prompt, completion, cached_tokens=min(cached, prompt), reasoning_tokens=min(reasoning, completion))
        )
    ]
