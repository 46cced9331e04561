"""What upstreams of OpenAI's family answer, whole or as chunks, as neutral events.

https://platform.openai.com/docs/api-reference/chat/object and .../chat/streaming. Beyond it: `reasoning_content`
(DeepSeek and most), `reasoning` (OpenRouter, Groq), thoughts as parts of a content (Mistral), the older
`function_call`, `images` (OpenRouter), and chunks whose calls have no index.
"""

from __future__ import annotations

from typing import Any

import orjson

from relay.adapters.openai.usage import usage_in
from relay.adapters.ranking import read_ranking
from relay.adapters.shape import chunk, document, items, mapping, number, text
from relay.adapters.stream_or_document import StreamOrDocument
from relay.adapters.vendor_errors import error_in
from relay.errors import UpstreamError
from relay.neutral import data_url
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
    MediaPiece,
    Picture,
    Pictures,
    Ranked,
    RefusalPiece,
    Started,
    TextPiece,
    ThoughtPiece,
    Vectors,
)

Json = dict[str, Any]

# Words beyond OpenAI's four; whatever else a provider says is a normal end.
FINISHES = {
    "length": FinishReason.LENGTH,
    "model_length": FinishReason.LENGTH,  # Mistral: the model's own window
    "max_tokens": FinishReason.LENGTH,
    "tool_calls": FinishReason.TOOL_CALLS,
    "function_call": FinishReason.TOOL_CALLS,
    "content_filter": FinishReason.CONTENT_FILTER,
    "sensitive": FinishReason.CONTENT_FILTER,  # GLM
}


def finish(reason: str) -> FinishReason:
    """`normal` (Baidu), `eos` (Together) and `insufficient_system_resource` (DeepSeek) are ends like `stop`."""
    return FINISHES.get(reason, FinishReason.STOP)


def read_chat(body: bytes) -> list[Event]:
    """Raises UpstreamError: no JSON, an error inside a 200, or nothing generated at all."""
    answer = document(body)
    _raise_error(answer)
    choices = items(answer.get("choices"))
    if not choices:
        raise UpstreamError("the upstream's answer has no choices", code="empty_answer")
    state = Pieces()
    events = [started(answer)]
    for choice in choices:
        events += state.choice({**choice, "delta": choice.get("message") or {"content": choice.get("text")}})
    usage = usage_in(answer)
    return [*events, Counted(usage)] if usage else events


def _raise_error(answer: Json) -> None:
    error = error_in(answer)
    if error is not None:
        raise error


def started(answer: Json) -> Event:
    return Started(text(answer.get("id")), max(number(answer.get("created")), 0))


def read_embeddings(body: bytes) -> Vectors:
    """Raises UpstreamError."""
    answer = document(body)
    _raise_error(answer)
    entries = sorted(items(answer.get("data")), key=lambda entry: number(entry.get("index")))
    vectors = [vector for entry in entries if (vector := _vector(entry.get("embedding")))]
    if not vectors or len(vectors) < len(entries):
        raise UpstreamError("the upstream's answer holds no vectors", code="empty_answer")
    return Vectors(vectors, usage_in(answer))


def _vector(value: Any) -> list[float] | str | None:
    if isinstance(value, str):
        return value
    if isinstance(value, list) and all(isinstance(x, int | float) and not isinstance(x, bool) for x in value):
        return [float(x) for x in value]
    return None


def read_images(body: bytes) -> Pictures:
    """Raises UpstreamError."""
    answer = document(body)
    _raise_error(answer)
    pictures = [
        Picture(text(entry.get("url")), text(entry.get("b64_json")), text(entry.get("revised_prompt")))
        for entry in items(answer.get("data"))
        if entry.get("url") or entry.get("b64_json")
    ]
    if not pictures:
        raise UpstreamError("the upstream made no image", code="empty_answer")
    return Pictures(pictures, max(number(answer.get("created")), 0), usage_in(answer))


def read_rerank(body: bytes) -> Ranked:
    """Raises UpstreamError."""
    answer = document(body)
    _raise_error(answer)
    return read_ranking(answer)


class ChatReader(StreamOrDocument):
    """A stream of chunks. It is whole with `[DONE]`, or with a finish reason: some providers leave `[DONE]` out."""

    def __init__(self) -> None:
        super().__init__()
        self._state = Pieces()
        self._started = False
        self._failed = False

    def error_in(self, document: Json) -> UpstreamError | None:
        return error_in(document)

    def payload(self, data: bytes) -> list[Event]:
        if self._failed or self.over:
            return []
        if data.strip() == b"[DONE]":
            self.ended = self.over = True
            return []
        part = chunk(data)
        error = error_in(part)
        if error is not None:
            error.answered = 0  # it came inside a stream
            self._failed = self.ended = True
            return [Failed(error)]
        choices = items(part.get("choices"))
        usage = usage_in(part)
        events: list[Event] = []
        if not self._started and (choices or usage):
            self._started = True
            events.append(started(part))
        for choice in choices:
            pieces = self._state.choice(choice)
            self.ended = self.ended or any(isinstance(piece, Finished) for piece in pieces)
            events += pieces
        return [*events, Counted(usage)] if usage else events


class Pieces:
    """Choices, whole or in pieces, as events; keeps count of each choice's calls."""

    def __init__(self) -> None:
        self._calls: dict[int, _Calls] = {}

    def choice(self, choice: Json) -> list[Event]:
        index = max(number(choice.get("index")), 0)
        delta = mapping(choice.get("delta"))
        events = _thoughts(delta, index)
        events += _content(delta.get("content"), index)
        if refusal := text(delta.get("refusal")):
            events.append(RefusalPiece(refusal, index))
        events += [Cited(annotation, index) for annotation in items(delta.get("annotations"))]
        events += _pictures(delta, index)
        calls = self._calls.setdefault(index, _Calls(index))
        for call in items(delta.get("tool_calls")):
            events += calls.piece(call)
        if function := mapping(delta.get("function_call")):
            events += calls.piece({"index": -1, "function": function})
        if entries := items(mapping(choice.get("logprobs")).get("content")):
            events.append(Logprobs(entries, index))
        if reason := text(choice.get("finish_reason")):
            ended = finish(reason)
            # Where `tool_choice` named the function, OpenAI's own word for the end is `stop`.
            called = ended is FinishReason.STOP and calls.begun
            events.append(Finished(FinishReason.TOOL_CALLS if called else ended, index))
        return events


class _Calls:
    """The calls of one choice. Providers number them, or name each by its id, or do neither and send them whole."""

    def __init__(self, choice: int) -> None:
        self._choice = choice
        self._known: list[tuple[int | None, str]] = []  # (the provider's index, its id), by our index

    @property
    def begun(self) -> bool:
        return bool(self._known)

    def piece(self, call: Json) -> list[Event]:
        function = mapping(call.get("function"))
        key = call.get("index") if isinstance(call.get("index"), int) else None
        call_id, name = text(call.get("id")), text(function.get("name"))
        events: list[Event] = []
        place = self._place(key, call_id, name)
        if place is None:
            place = len(self._known)
            self._known.append((key, call_id))
            signature = text(mapping(mapping(call.get("extra_content")).get("google")).get("thought_signature"))
            events.append(CallStarted(place, call_id, name, self._choice, signature))
        arguments = function.get("arguments")
        if isinstance(arguments, dict):
            arguments = orjson.dumps(arguments).decode()
        if fragment := text(arguments):
            events.append(CallPiece(place, fragment, self._choice))
        return events

    def _place(self, key: int | None, call_id: str, name: str) -> int | None:
        """Which of the known calls a piece belongs to; None: it begins another."""
        if key is None and call_id:
            named = next((place for place, (_, known) in enumerate(self._known) if known == call_id), None)
            if named is not None:
                return named
        for place in reversed(range(len(self._known))):
            known_key, known_id = self._known[place]
            if key is not None and key != known_key:
                continue
            if call_id and call_id != known_id and name:
                return None  # some providers number every call 0
            if key is None and not call_id and name:
                return None
            return place
        return None


def _thoughts(delta: Json, index: int) -> list[Event]:
    thought = text(delta.get("reasoning_content")) or text(delta.get("reasoning"))
    return [ThoughtPiece(thought, choice=index)] if thought else []


def _content(content: Any, index: int) -> list[Event]:
    if isinstance(content, str):
        return [TextPiece(content, index)] if content else []
    events: list[Event] = []
    for part in items(content):
        if part.get("type") == "thinking":
            given = part.get("thinking")
            thought = text(given) or "".join(text(piece.get("text")) for piece in items(given))
            events += [ThoughtPiece(thought, choice=index)] if thought else []
        elif said := text(part.get("text")):
            events.append(TextPiece(said, index))
    return events


def _pictures(delta: Json, index: int) -> list[Event]:
    events: list[Event] = []
    for image in items(delta.get("images")):
        url = text(mapping(image.get("image_url")).get("url"))
        found = data_url.split(url)
        if found:
            events.append(MediaPiece(found[0] or "image/png", found[1], index))
    return events
