"""Gemini's answers, whole or as a stream, as neutral events.

https://ai.google.dev/api/generate-content; relay contract of providers, 3.3. Every chunk of a stream is an answer of
the same shape with new parts, so one class reads both. Vertex AI answers in the same form.
"""

from __future__ import annotations

from typing import Any

import orjson

from relay import sse
from relay.adapters import shape
from relay.adapters.base import Reader, broken_off
from relay.adapters.gemini.usage import covers_text, usage_of
from relay.adapters.json_objects import Objects
from relay.adapters.shape import Json, items, mapping, number, real, text
from relay.errors import UpstreamError
from relay.neutral.events import (
    CallPiece,
    CallStarted,
    Counted,
    Event,
    Failed,
    Finished,
    FinishReason,
    Logprobs,
    MediaPiece,
    Started,
    TextPiece,
    ThoughtPiece,
    new_id,
)
from relay.upstream_errors import normalise

FILTERED = frozenset(
    {
        *("SAFETY", "RECITATION", "LANGUAGE", "BLOCKLIST", "PROHIBITED_CONTENT", "SPII", "MODEL_ARMOR"),
        *("IMAGE_SAFETY", "IMAGE_PROHIBITED_CONTENT", "IMAGE_RECITATION"),
    }
)
FAILED = frozenset(
    {
        *("MALFORMED_FUNCTION_CALL", "UNEXPECTED_TOOL_CALL", "TOO_MANY_TOOL_CALLS", "MISSING_THOUGHT_SIGNATURE"),
        *("MALFORMED_RESPONSE", "OTHER", "NO_IMAGE", "IMAGE_OTHER"),
    }
)


class Events:
    """One answer's events, in order. Finish reasons are held until `close`: older models send one with every chunk.

    `over`: the last chunk of `choices` answers was read. There is no mark of it; it has a finish reason, all that was
    said is counted with it, and, unlike with those older models, earlier chunks of each answer had no such reason.
    """

    def __init__(self, choices: int = 1) -> None:
        self.ended = False  # an error was reported, or a last word; nothing that is said after it counts
        self.over = False
        self._choices = choices
        self._unfinished: set[int] = set()  # choices that began without a finish reason
        self._started = False
        self._finishes: dict[int, tuple[str, str]] = {}  # choice -> (reason, the upstream's remark)
        self._calls: dict[int, int] = {}  # choice -> tool calls so far
        self._spoken: set[int] = set()  # choices with any content
        self._uncounted = False  # something was said that no report has covered
        self._told = 0  # tokens of what was said, by the last report

    def read(self, answer: Json) -> list[Event]:
        """What one chunk says."""
        if self.over and (late := usage_of(mapping(answer.get("usageMetadata")))):
            return [Counted(late)]
        if self.ended:
            return []
        if "error" in answer:
            self.ended = True
            return [Failed(failure(answer))]
        events: list[Event] = []
        if not self._started:
            self._started = True
            events.append(Started(text(answer.get("responseId"))))
        if blocked := _blocked(answer):
            self.ended = True
            return [*events, Failed(blocked)]
        said: list[Event] = []
        for candidate in items(answer.get("candidates")):
            said += self._candidate(candidate)
            if said and isinstance(said[-1], Failed):
                return events + said
        counts = mapping(answer.get("usageMetadata"))
        usage = usage_of(counts)
        covered = usage is not None and covers_text(counts)
        # What a report has not counted comes after it, so that it is still known to be uncounted; and a later report
        # of the prompt alone is no news, but would be taken for one of all that was said.
        known = not covered and (self._uncounted or (usage is not None and usage.completion_tokens < self._told))
        counted: list[Event] = [] if usage is None or known else [Counted(usage)]
        if usage is not None and not known:
            self._told = usage.completion_tokens
        self._uncounted = not covered and (self._uncounted or bool(said))
        if not covered:
            return events + counted + said
        self.over = len(self._finishes) >= self._choices and self._finishes.keys() <= self._unfinished
        return events + said + counted + (self.close() if self.over else [])

    def close(self) -> list[Event]:
        """The finish of every choice; `Failed` where the upstream never came to one."""
        if self.ended:
            return []
        self.ended = True
        if not self._finishes:
            return [broken_off()]
        if not self._spoken and all(reason in FAILED for reason, _ in self._finishes.values()):
            self.over = False
            reason, remark = next(iter(self._finishes.values()))
            return [Failed(UpstreamError(f"the model gave no answer: {remark or reason}"[:500], code=reason.lower()))]
        return [
            Finished(self._reason(choice, reason), choice) for choice, (reason, _) in sorted(self._finishes.items())
        ]

    def _reason(self, choice: int, reason: str) -> FinishReason:
        if reason == "MAX_TOKENS":
            return FinishReason.LENGTH
        if reason in FILTERED:
            return FinishReason.CONTENT_FILTER
        return FinishReason.TOOL_CALLS if self._calls.get(choice) else FinishReason.STOP

    def _candidate(self, candidate: Json) -> list[Event]:
        choice = max(number(candidate.get("index")), 0)
        events: list[Event] = []
        for part in items(mapping(candidate.get("content")).get("parts")):
            events += self._part(part, choice)
            if events and isinstance(events[-1], Failed):
                return events
        if events:
            self._spoken.add(choice)
        if entries := _logprobs(mapping(candidate.get("logprobsResult"))):
            events.append(Logprobs(entries, choice))
        if reason := text(candidate.get("finishReason")):
            self._finishes[choice] = reason, text(candidate.get("finishMessage"))
        elif choice not in self._finishes:
            self._unfinished.add(choice)
        return events

    def _part(self, part: Json, choice: int) -> list[Event]:
        signature = text(part.get("thoughtSignature"))
        if isinstance(part.get("functionCall"), dict):
            return self._call(part["functionCall"], signature, choice)
        if isinstance(part.get("text"), str):
            return _said(part["text"], signature, part.get("thought") is True, choice)
        if isinstance(part.get("inlineData"), dict) and part.get("thought") is not True:
            blob = part["inlineData"]
            data = text(blob.get("data"))
            return [MediaPiece(text(blob.get("mimeType")) or "image/png", data, choice)] if data else []
        shown = code_text(part)
        return _said(shown, signature, False, choice)

    def _call(self, call: Json, signature: str, choice: int) -> list[Event]:
        """Arguments come whole."""
        index = self._calls.get(choice, 0)
        self._calls[choice] = index + 1
        started = CallStarted(index, text(call.get("id")) or new_id("call_"), text(call.get("name")), choice, signature)
        try:
            arguments = orjson.dumps(mapping(call.get("args"))).decode()
        except orjson.JSONEncodeError:  # nested more deeply than is written, though not than is read
            self.ended = True
            return [Failed(UpstreamError("the upstream sent arguments nested absurdly", code="bad_response"))]
        return [started, CallPiece(index, arguments, choice)]


def _said(words: str, signature: str, thought: bool, choice: int) -> list[Event]:
    if not words and not signature:
        return []
    return [ThoughtPiece(words, signature, choice=choice) if thought else TextPiece(words, choice, signature)]


def code_text(part: Json) -> str:
    """Code that Gemini ran, and what came of it, as fenced text; "" for a part of another kind."""
    if code := text(mapping(part.get("executableCode")).get("code")):
        language = text(mapping(part.get("executableCode")).get("language")).lower()
        return f"\n```{'' if language == 'language_unspecified' else language}\n{code}\n```\n"
    if output := text(mapping(part.get("codeExecutionResult")).get("output")):
        return f"\n```\n{output}\n```\n"
    return ""


def _logprobs(result: Json) -> list[Json]:
    """Entries of OpenAI's `logprobs.content`."""
    tops = items(result.get("topCandidates"))
    entries = []
    for place, chosen in enumerate(items(result.get("chosenCandidates"))):
        top = items(tops[place].get("candidates")) if place < len(tops) else []
        entries.append({**_logprob(chosen), "top_logprobs": [_logprob(entry) for entry in top]})
    return entries


def _logprob(entry: Json) -> Json:
    token = text(entry.get("token"))
    return {
        "token": token,
        "logprob": real(entry.get("logProbability")),
        "bytes": list(token.encode(errors="replace")),
    }


def _blocked(answer: Json) -> UpstreamError | None:
    """The prompt was refused by a filter: no channel of this kind would answer it."""
    feedback = mapping(answer.get("promptFeedback"))
    reason = text(feedback.get("blockReason"))
    if not reason or items(answer.get("candidates")):
        return None
    remark = text(feedback.get("blockReasonMessage"))
    message = f"the prompt was blocked by the upstream's filter: {reason}" + (f" ({remark})" if remark else "")
    return UpstreamError(
        message[:500], retry=False, status=400, code="content_filter", kind="invalid_request_error", param="messages"
    )


class AnswerReader(Reader):
    """Reads a stream of server-sent events, or the array of the same answers that comes without `alt=sse`."""

    def __init__(self, choices: int = 1) -> None:
        self._events = Events(choices)
        self._sse = sse.Parser()
        self._objects = Objects()
        self._plain: bool | None = None  # an array or a bare document, not events; None until the first byte

    def feed(self, chunk: bytes) -> list[Event]:
        if self._plain is None:
            begun = chunk.lstrip(b"\xef\xbb\xbf \t\r\n")
            if not begun:
                return []
            self._plain = begun[:1] in b"[{"
        if self._plain:
            return self._read(self._objects.feed(chunk))
        return self._read([event.data for event in self._sse.feed(chunk) if event.data is not None])

    def close(self) -> list[Event]:
        last = None if self._plain else self._sse.close()
        events = self._read([last.data]) if last is not None and last.data is not None else []
        return events + self._events.close()

    def _read(self, payloads: list[bytes]) -> list[Event]:
        events = [event for payload in payloads for event in self._events.read(shape.chunk(payload))]
        self.over = self._events.over and not self._plain  # an array has an end of its own, which is passed on, too
        return events


def read_answer(body: bytes) -> list[Event]:
    """A whole answer's events. Raises UpstreamError: no answer, an error inside a 200, a blocked prompt."""
    try:
        answer: Any = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise UpstreamError("the upstream's answer is not JSON", code="unmarshal_response_body_failed") from error
    answer = _unwrapped(answer)
    if not isinstance(answer, dict):
        raise UpstreamError("the upstream's answer is not a JSON object", code="unmarshal_response_body_failed")
    reading = Events()
    candidates = [{"finishReason": "STOP", **candidate} for candidate in items(answer.get("candidates"))]
    events = reading.read({**answer, "candidates": candidates})
    events += reading.close()
    for event in events:
        if isinstance(event, Failed):
            if event.error.code == "stream_broken":
                raise UpstreamError("the upstream's answer holds no candidates", code="bad_response")
            raise event.error
    return events


def _unwrapped(document: Any) -> Any:
    """Google sometimes puts its error object into a list of one."""
    return document[0] if isinstance(document, list) and len(document) == 1 else document


def failure(document: Any, status: int = 0, retry_after: float | None = None) -> UpstreamError:
    """Google's error as ours: its `status` is the type. Without an HTTP status its own code is taken for one."""
    error = google_error(document)
    code = number(error.get("code"))
    kind = text(error.get("status")) or text(error.get("type"))
    told = {"message": text(error.get("message")) or "the upstream reported an error", "type": kind}
    delay = retry_after if retry_after is not None else _delay(error)
    status = status or (code if 400 <= code <= 599 else 500)
    return normalise(status, orjson.dumps({"error": {**told, "code": code or kind}}), delay)


def google_error(document: Any) -> Json:
    """The error object; {} in a document of another shape."""
    return mapping(mapping(_unwrapped(document)).get("error"))


def _delay(error: Json) -> float | None:
    """RetryInfo in the details: {"retryDelay": "12.5s"}."""
    for detail in items(error.get("details")):
        delay = text(detail.get("retryDelay")).removesuffix("s")
        if delay.replace(".", "", 1).isdecimal() and delay.isascii() and len(delay) < 12:
            return float(delay)
    return None
