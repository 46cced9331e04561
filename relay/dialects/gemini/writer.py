"""Neutral events as Gemini's answers, whole or as a stream.

https://ai.google.dev/api/generate-content. A stream is server-sent events with `alt=sse`, else one JSON array that is
written piece by piece. Calls are whole in Gemini's form, so they are written when their choice is finished.
"""

from __future__ import annotations

import base64
import binascii
import re
import struct

import orjson

from relay.dialects.gemini.errors import error_body
from relay.errors import RelayError
from relay.neutral.events import (
    Answer,
    Called,
    CallPiece,
    CallStarted,
    Choice,
    Cited,
    Counted,
    Event,
    Finished,
    FinishReason,
    Json,
    Logprobs,
    MediaPiece,
    RefusalPiece,
    Started,
    TextPiece,
    ThoughtPiece,
    Vectors,
    new_id,
)
from relay.neutral.request import load_arguments
from relay.types import Usage

FINISH = {
    FinishReason.STOP: "STOP",
    FinishReason.LENGTH: "MAX_TOKENS",
    FinishReason.TOOL_CALLS: "STOP",
    FinishReason.CONTENT_FILTER: "SAFETY",
}
Said = TextPiece | RefusalPiece | ThoughtPiece | MediaPiece
_BASE64 = re.compile(r"[A-Za-z0-9+/_-]+={0,2}")


class AnswerWriter:
    """Writes one stream. `array`: the form without `alt=sse`. `thoughts`: the caller asked to read them."""

    def __init__(self, model: str, thoughts: bool, array: bool) -> None:
        self._model = model
        self._thoughts = thoughts
        self._array = array
        self._id = ""
        self._begun = False
        self._calls: dict[int, dict[int, Called]] = {}
        self._citations: dict[int, list[Json]] = {}
        self._finishes: dict[int, FinishReason] = {}
        self._usage: Usage | None = None

    def write(self, event: Event) -> bytes:
        match event:
            case Started():
                self._id = event.id
            case Counted():
                self._usage = event.usage
            case CallStarted():
                calls = self._calls.setdefault(event.choice, {})
                calls[event.index] = Called(event.id, event.name, signature=event.signature)
            case CallPiece():
                if called := self._calls.get(event.choice, {}).get(event.index):
                    called.arguments += event.fragment
            case Cited():
                self._citations.setdefault(event.choice, []).append(event.annotation)
            case Logprobs():
                return self._chunk({"index": event.choice, "logprobsResult": logprobs_result(event.entries)})
            case Finished():
                self._finishes[event.choice] = event.reason
                return self._parts(event.choice, self._called(event.choice))
            case TextPiece() | RefusalPiece() | ThoughtPiece() | MediaPiece():
                return self._parts(event.choice, _part(event, self._thoughts))
        return b""

    def end(self) -> bytes:
        """The last chunk: finish reasons and usage; of the array also its end."""
        waiting = b"".join(self._parts(choice, self._called(choice)) for choice in list(self._calls))
        candidates = [
            candidate(choice, [], self._finishes.get(choice, FinishReason.STOP), self._citations.get(choice, []))
            for choice in sorted(self._finishes) or [0]
        ]
        last = self._document({"candidates": candidates, **usage_member(self._usage)})
        return waiting + last + (b"\r\n]" if self._array else b"")

    def fail(self, error: RelayError, request_id: str) -> bytes:
        return self._framed(error_body(error, request_id)) + (b"\r\n]" if self._array else b"")

    def _called(self, choice: int) -> list[Json]:
        return [call_part(called) for _, called in sorted(self._calls.pop(choice, {}).items())]

    def _parts(self, choice: int, parts: list[Json]) -> bytes:
        return self._chunk({"content": {"parts": parts, "role": "model"}, "index": choice}) if parts else b""

    def _chunk(self, candidate: Json) -> bytes:
        return self._document({"candidates": [candidate]})

    def _document(self, document: Json) -> bytes:
        self._id = self._id or new_id("")
        return self._framed({**document, "modelVersion": self._model, "responseId": self._id})

    def _framed(self, document: Json) -> bytes:
        text = orjson.dumps(document)
        if not self._array:
            return b"data: " + text + b"\r\n\r\n"
        begun, self._begun = self._begun, True
        return (b",\r\n" if begun else b"[") + text


def _part(event: Said, thoughts: bool) -> list[Json]:
    match event:
        case TextPiece():
            return _signed({"text": event.text}, event.signature) if event.text or event.signature else []
        case RefusalPiece():
            return [{"text": event.text}] if event.text else []
        case MediaPiece():
            return [{"inlineData": {"mimeType": event.mime, "data": event.data}}]
        case ThoughtPiece() if thoughts and (event.text or event.signature):
            return _signed({"text": event.text, "thought": True}, event.signature)
    return []


def _signed(part: Json, signature: str) -> list[Json]:
    """Signatures are bytes in Gemini's form; one that is no base64 belongs to nobody who could read it back."""
    if not signature or not _BASE64.fullmatch(signature):
        return [part] if part.get("text") or "functionCall" in part else []
    return [{**part, "thoughtSignature": signature}]


def call_part(called: Called) -> Json:
    function: Json = {"id": called.id or new_id("call_"), "name": called.name, "args": load_arguments(called.arguments)}
    return _signed({"functionCall": function}, called.signature)[0]


def candidate(index: int, parts: list[Json], finish: FinishReason, citations: list[Json]) -> Json:
    """Never without a part: clients look at the first one, and Google's own last chunk has an empty one."""
    content = {"parts": parts or [{"text": ""}], "role": "model"}
    made: Json = {"content": content, "finishReason": FINISH[finish], "index": index}
    sources = [citation.get("url_citation") or {} for citation in citations]
    if sources:
        chunks = [{"web": {"uri": source.get("url", ""), "title": source.get("title", "")}} for source in sources]
        made["groundingMetadata"] = {"groundingChunks": chunks}
    return made


def logprobs_result(entries: list[Json]) -> Json:
    return {
        "chosenCandidates": [_logprob(entry) for entry in entries],
        "topCandidates": [
            {"candidates": [_logprob(top) for top in entry.get("top_logprobs") or []]} for entry in entries
        ],
    }


def _logprob(entry: Json) -> Json:
    return {"token": entry.get("token", ""), "logProbability": entry.get("logprob", 0.0)}


def usage_member(usage: Usage | None) -> Json:
    """Thoughts stand beside the candidates' tokens, cached ones are part of the prompt."""
    if usage is None:
        return {}
    counts = {
        "promptTokenCount": usage.prompt_tokens,
        "candidatesTokenCount": max(usage.completion_tokens - usage.reasoning_tokens, 0),
        "totalTokenCount": usage.prompt_tokens + usage.completion_tokens,
    }
    if usage.cached_tokens:
        counts["cachedContentTokenCount"] = usage.cached_tokens
    if usage.reasoning_tokens:
        counts["thoughtsTokenCount"] = usage.reasoning_tokens
    return {"usageMetadata": counts}


def whole_answer(answer: Answer, model: str, thoughts: bool) -> bytes:
    candidates = []
    for choice in answer.choices:
        made = candidate(choice.index, _all(choice, thoughts), choice.finish or FinishReason.STOP, choice.annotations)
        if choice.logprobs:
            made["logprobsResult"] = logprobs_result(choice.logprobs)
        candidates.append(made)
    head = {"modelVersion": model, "responseId": answer.id}
    return orjson.dumps({"candidates": candidates, **usage_member(answer.usage), **head})


def _all(choice: Choice, thoughts: bool) -> list[Json]:
    said: list[Said] = [*choice.thoughts, TextPiece(choice.text), RefusalPiece(choice.refusal), *choice.media]
    parts = [part for piece in said for part in _part(piece, thoughts)]
    return parts + [call_part(called) for called in choice.calls]


def whole_vectors(answer: Vectors, batch: bool) -> bytes:
    """Of batchEmbedContents, or the one of embedContent."""
    entries = [{"values": _floats(vector)} for vector in answer.vectors]
    document: Json = {"embeddings": entries} if batch else {"embedding": entries[0] if entries else {"values": []}}
    if answer.usage is not None:
        document["usageMetadata"] = {"promptTokenCount": answer.usage.prompt_tokens}
    return orjson.dumps(document)


def _floats(vector: list[float] | str) -> list[float]:
    """Of base64, little-endian floats of 32 bits."""
    if not isinstance(vector, str):
        return vector
    try:
        data = base64.b64decode(vector, validate=True)
    except binascii.Error:
        return []
    return list(struct.unpack(f"<{len(data) // 4}f", data[: len(data) // 4 * 4]))
