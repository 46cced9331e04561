"""Gemini's API as a client's dialect: models/{model}:generateContent and its kin, under /v1 and /v1beta.

https://ai.google.dev/api. What gemini-cli and the SDKs send beyond it: docs/clients.md. The model stands in the address
alone, so that a mapped name changes the address and not the body.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs

import orjson

from relay import splice
from relay.adapters.shape import items
from relay.dialects.base import Dialect, Whole, Writer
from relay.dialects.gemini import count as gemini_count
from relay.dialects.gemini import request as gemini_request
from relay.dialects.gemini import writer as gemini_writer
from relay.dialects.gemini.errors import error_body
from relay.dialects.gemini.members import inner, message
from relay.errors import GatewayError, RelayError
from relay.neutral.events import Answer, Vectors
from relay.neutral.request import Embeddings, Request
from relay.types import Attempt, Call, Head, Mode

ARRAY_TYPE = "application/json; charset=utf-8"


class GeminiDialect(Dialect):
    """One stateless instance for all actions; which one a call is stands in its path."""

    name = "gemini"
    native = frozenset({"gemini-generatecontent"})

    def read(self, mode: Mode, head: Head, body: bytes, model_in_path: str = "") -> Call:
        return gemini_request.read(head, body, model_in_path)

    def neutral(self, call: Call) -> Request:
        if call.mode is Mode.EMBEDDINGS:
            return gemini_request.embeddings(call.document)
        if gemini_request.counts_only(call):
            return gemini_request.chat(gemini_request.to_count(message(call.document)))
        return gemini_request.chat(call.document, call.stream)

    def listened(self, call: Call) -> Request:
        """Pictures and purposes of inputs are Google's to judge; only their number matters."""
        if call.mode is Mode.EMBEDDINGS:
            return Embeddings([""] * len(gemini_request.embed_requests(message(call.document))))
        return super().listened(call)

    def native_body(self, call: Call, attempt: Attempt) -> bytes:
        changes: dict[str, Any] = _renamed(call.document, attempt)
        if call.mode is Mode.CHAT and not gemini_request.counts_only(call):
            if attempt.route.system_prompt:
                name = _spelt(call.document, "systemInstruction", "system_instruction")
                changes[name] = {"parts": [{"text": attempt.route.system_prompt}]}
            if attempt.max_tokens is not None:
                changes |= _lowered(call.document, attempt.max_tokens)
        return splice.replace(call.body, call.document, changes) if changes else call.body

    def writer(self, call: Call) -> Writer:
        return gemini_writer.AnswerWriter(call.model, _shows_thoughts(call), not _as_events(call.query))

    def whole(self, call: Call, answer: Whole) -> bytes:
        if isinstance(answer, Vectors):
            return gemini_writer.whole_vectors(answer, gemini_request.action_of(call.path) == "batchEmbedContents")
        if isinstance(answer, Answer):
            return gemini_writer.whole_answer(answer, call.model, _shows_thoughts(call))
        raise GatewayError("the upstream's answer is no content", code="bad_answer")

    def failure(self, error: RelayError, request_id: str) -> bytes:
        return orjson.dumps(error_body(error, request_id))

    def content_type(self, call: Call) -> str:
        """Of a stream: events with `alt=sse`, else an array."""
        return self.stream_type if _as_events(call.query) else ARRAY_TYPE

    def prompt_tokens(self, call: Call, model: str, *, rough: bool) -> int:
        """Our own count of the prompt. Blocking; `rough` asks for the size alone."""
        if rough:
            return call.prompt_estimate
        document = message(call.document)
        if call.mode is Mode.EMBEDDINGS:
            return gemini_count.count_embeddings(model, gemini_request.embed_requests(document))
        return gemini_count.count(model, gemini_request.to_count(document))

    def count(self, call: Call) -> bytes:
        """The answer of countTokens by our own tokenizer. Blocking: run it in a thread."""
        return gemini_count.answer(self.prompt_tokens(call, call.model, rough=False))


def _as_events(query: str) -> bool:
    return parse_qs(query).get("alt", [""])[-1] == "sse"


def _shows_thoughts(call: Call) -> bool:
    config = inner(inner(message(call.document), "generationConfig"), "thinkingConfig")
    return config.get("includeThoughts") is True


def _spelt(document: dict[str, Any], name: str, other: str) -> str:
    """The member's name as the caller writes it."""
    return other if other in document else name


def _lowered(document: dict[str, Any], most: int) -> dict[str, Any]:
    member = _spelt(document, "generationConfig", "generation_config")
    config = document.get(member) or {}
    name = _spelt(config, "maxOutputTokens", "max_output_tokens")
    named = config.get(name)
    return {member: {**config, name: min(int(named), most) if named else most}}


def _renamed(document: dict[str, Any], attempt: Attempt) -> dict[str, Any]:
    """Embeddings and counts may name their model in the body too; Google refuses one that is not the address's."""
    mapped = attempt.model if "/" in attempt.model else f"models/{attempt.model}"
    changes: dict[str, Any] = {}
    if document.get("model", mapped) != mapped:
        changes["model"] = mapped
    asked = _spelt(document, "generateContentRequest", "generate_content_request")
    if isinstance(document.get(asked), dict) and document[asked].get("model", mapped) != mapped:
        changes[asked] = {**document[asked], "model": mapped}
    requests = items(document.get("requests"))
    if any(request.get("model", mapped) != mapped for request in requests):
        changes["requests"] = [{**request, "model": mapped} for request in requests]
    return changes
