"""Llama 3 at Bedrock's InvokeModel: a conversation as the one text that is gone on with.

https://docs.aws.amazon.com/bedrock/latest/userguide/model-parameters-meta.html,
https://www.llama.com/docs/model-cards-and-prompt-formats/meta-llama-3 (the marks in the text); relay contract of
providers, 3.5. Tools, pictures, stop sequences and JSON schemas that bind have no place in it: Converse has one.
"""

from __future__ import annotations

import orjson

from billing.pricing import Usage
from relay.adapters.anthropic.request import JSON_ONLY
from relay.adapters.shape import Json, clamped, document, mapping, text
from relay.adapters.usual import reported, stops_of
from relay.errors import BadRequest
from relay.neutral.events import Counted, Event, Finished, FinishReason, Started, TextPiece
from relay.neutral.request import Chat, Media, Text, Thought, plain_text

DEFAULT_MAX_TOKENS = 2048  # Bedrock's own is 512
FINISH = {"length": FinishReason.LENGTH}


def body(chat: Chat) -> Json:
    """Raises BadRequest."""
    if chat.tools and not (chat.tool_choice is not None and chat.tool_choice.kind == "none"):
        raise BadRequest("tools: Bedrock's InvokeModel gives Llama none; Converse does")
    stops_of(chat, 0, "Bedrock's InvokeModel of Llama")
    figures = {
        "temperature": None if chat.temperature is None else min(max(chat.temperature, 0), 1),
        "top_p": None if chat.top_p is None else min(max(chat.top_p, 0), 1),
    }
    document = {"prompt": _prompt(chat), "max_gen_len": chat.max_tokens or DEFAULT_MAX_TOKENS}
    return document | {name: value for name, value in figures.items() if value is not None}


def _prompt(chat: Chat) -> str:
    system = [part.text for part in chat.system if part.text.strip()]
    if chat.output is not None and chat.output.kind == "json":
        system.append(JSON_ONLY)
    elif chat.output is not None and chat.output.kind == "schema":
        schema = orjson.dumps(chat.output.schema or {}).decode()
        system.append(f"{JSON_ONLY} It has to match this JSON schema: {schema}")
    said = [("system", "\n".join(system))] if system else []
    for turn in chat.turns:
        if any(isinstance(part, Media) for part in turn.parts):
            raise BadRequest("Bedrock's InvokeModel gives Llama texts only; Converse takes pictures and files")
        if not all(isinstance(part, Text | Thought) for part in turn.parts):
            raise BadRequest("Bedrock's InvokeModel gives Llama no calls of tools and no results; Converse does")
        said.append((turn.role, plain_text(turn.parts)))
    if not chat.turns:
        raise BadRequest("messages: at least one message of a user or an assistant is required")
    written = "".join(f"{_head(role)}{_unmarked(words)}<|eot_id|>" for role, words in said)
    return f"<|begin_of_text|>{written}{_head('assistant')}"


def _head(role: str) -> str:
    return f"<|start_header_id|>{role}<|end_header_id|>\n\n"


def _unmarked(words: str) -> str:
    """Marks in what somebody said would end their say and begin another's, the system's included."""
    return words.strip().replace("<|", "< |")


class Generation:
    """One answer's events. Figures are cumulative, and any event may leave them out."""

    def __init__(self) -> None:
        self.ended = False
        self._begun = False
        self._prompt = self._completion = 0

    def read(self, event: Json) -> list[Event]:
        events: list[Event] = [] if self._begun else [Started()]
        metrics = mapping(event.get("amazon-bedrock-invocationMetrics"))
        prompt = max(clamped(event.get("prompt_token_count")), clamped(metrics.get("inputTokenCount")))
        completion = max(clamped(event.get("generation_token_count")), clamped(metrics.get("outputTokenCount")))
        self._prompt, self._completion = max(self._prompt, prompt), max(self._completion, completion)
        if not self._begun and self._prompt:
            events.append(Counted(Usage(self._prompt, 0)))
        self._begun = True
        if said := text(event.get("generation")):
            events.append(TextPiece(said))
        if reason := text(event.get("stop_reason")):
            self.ended = True
            events.append(Finished(FINISH.get(reason, FinishReason.STOP)))
            if self._prompt or self._completion:
                events.append(Counted(Usage(self._prompt, self._completion)))
        return events


def read_answer(body: bytes) -> list[Event]:
    """A whole answer. Raises UpstreamError: it is none."""
    answer = document(body)
    if not isinstance(answer.get("generation"), str):
        raise reported(502, text(answer.get("message")) or "the upstream's answer holds no text")
    return Generation().read({**answer, "stop_reason": text(answer.get("stop_reason")) or "stop"})
