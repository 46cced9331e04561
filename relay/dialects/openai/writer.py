"""Neutral events as OpenAI's chunks, whole answers as OpenAI's objects (providers' contract, 1.4 and 1.5).

https://platform.openai.com/docs/api-reference/chat/streaming. Beyond OpenAI's members, as other gateways and their
clients have it: `reasoning_content` for thoughts, `thinking_blocks` for thoughts with the signature a later request
has to bring back, `extra_content.google.thought_signature` for Gemini's.
"""

from __future__ import annotations

import time
from typing import Any

import orjson

from billing.pricing import Usage
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
    Failed,
    Finished,
    FinishReason,
    Logprobs,
    MediaPiece,
    RefusalPiece,
    Started,
    TextPiece,
    ThoughtPiece,
    new_id,
)
from relay.types import Call, Mode

Json = dict[str, Any]

DONE = b"data: [DONE]\n\n"


def usage_document(usage: Usage) -> Json:
    """Details appear where there is something to tell."""
    document: Json = {
        "prompt_tokens": usage.prompt_tokens,
        "completion_tokens": usage.completion_tokens,
        "total_tokens": usage.prompt_tokens + usage.completion_tokens,
    }
    prompt = {
        "cached_tokens": usage.cached_tokens,
        "cache_write_tokens": usage.cache_write_tokens + usage.cache_write_long_tokens,
        "audio_tokens": usage.audio_prompt_tokens,
        "image_tokens": usage.image_prompt_tokens,
    }
    completion = {
        "reasoning_tokens": usage.reasoning_tokens,
        "audio_tokens": usage.audio_completion_tokens,
        "image_tokens": usage.image_completion_tokens,
    }
    for name, details in (("prompt_tokens_details", prompt), ("completion_tokens_details", completion)):
        if any(details.values()):
            document[name] = {detail: tokens for detail, tokens in details.items() if tokens}
    return document


def prefixed(upstream_id: str, prefix: str) -> str:
    if not upstream_id:
        return new_id(prefix)
    return upstream_id if upstream_id.startswith(prefix) else prefix + upstream_id


def finish_reason(reason: FinishReason | None, calls: bool) -> str:
    """A normal end of an answer that calls tools is `tool_calls`, whatever its upstream calls it."""
    if reason in (None, FinishReason.STOP) and calls:
        return FinishReason.TOOL_CALLS.value
    return (reason or FinishReason.STOP).value


def picture(media: MediaPiece) -> str:
    """Pictures have no place in OpenAI's chat answers: markdown shows them."""
    if media.mime.startswith("image/"):
        return f"![image](data:{media.mime};base64,{media.data})"
    return f"[{media.mime}](data:{media.mime};base64,{media.data})"


def google(signature: str) -> Json:
    return {"google": {"thought_signature": signature}}


def thinking_block(thought: ThoughtPiece) -> Json:
    if thought.redacted:
        return {"type": "redacted_thinking", "data": thought.redacted}
    return {"type": "thinking", "thinking": thought.text, "signature": thought.signature}


class ChatWriter:
    """One stream of `chat.completion.chunk` objects, in the contract's canonical form."""

    def __init__(self, call: Call) -> None:
        self._model = call.model
        self._shows_usage = call.shows_usage
        self._id = ""
        self._created = 0
        self._usage: Usage | None = None
        self._choices: dict[int, _Progress] = {}

    def write(self, event: Event) -> bytes:
        match event:
            case Started():
                self._start(event.id, event.created)
                return self._delta(0, {"content": ""})
            case Counted():
                self._usage = event.usage
                return b""
            case Failed():
                return b""
            case Finished():
                progress = self._progress(event.choice)
                if progress.finished:
                    return b""
                closing = self._close_calls(event.choice)
                progress.finished = True
                return closing + self._delta(event.choice, {}, finish_reason(event.reason, progress.calls > 0))
            case Logprobs():
                return self._chunk(event.choice, {}, None, {"content": event.entries})
            case CallStarted():
                return self._delta(event.choice, self._call(event))
            case _:
                delta = self._piece(event)
                return self._delta(event.choice, delta) if delta else b""

    def end(self) -> bytes:
        choices = self._choices or {0: _Progress()}
        unfinished = [index for index, progress in choices.items() if not progress.finished]
        closing = b"".join(self.write(Finished(FinishReason.STOP, index)) for index in unfinished)
        if self._shows_usage and self._usage is not None:
            closing += self._event({**self._head(), "choices": [], "usage": usage_document(self._usage)})
        return closing + DONE

    def fail(self, error: RelayError, request_id: str) -> bytes:
        return b"data: " + error.encode(request_id) + b"\n\n"

    def _start(self, upstream_id: str, created: int) -> None:
        if not self._id:
            self._id = prefixed(upstream_id, "chatcmpl-")
            self._created = created or int(time.time())

    def _progress(self, choice: int) -> _Progress:
        return self._choices.setdefault(choice, _Progress())

    def _call(self, event: CallStarted) -> Json:
        progress = self._progress(event.choice)
        progress.empty_calls[event.index] = None
        progress.calls += 1
        call: Json = {
            "index": event.index,
            "id": event.id or new_id("call_"),
            "type": "function",
            "function": {"name": event.name, "arguments": ""},
        }
        if event.signature:
            call["extra_content"] = google(event.signature)
        return {"tool_calls": [call]}

    def _close_calls(self, choice: int) -> bytes:
        """A call whose upstream sent no arguments has the empty object: clients parse them.

        Not before the end: the arguments of several calls may come in turns.
        """
        progress = self._progress(choice)
        empty, progress.empty_calls = progress.empty_calls, {}
        calls = [{"index": index, "function": {"arguments": "{}"}} for index in empty]
        return b"".join(self._delta(choice, {"tool_calls": [call]}) for call in calls)

    def _piece(self, event: Event) -> Json:
        match event:
            case TextPiece():
                delta: Json = {"content": event.text} if event.text else {}
                if event.signature:
                    delta["extra_content"] = google(event.signature)
                return delta
            case ThoughtPiece():
                return self._thought(event)
            case CallPiece():
                if not event.fragment:
                    return {}
                progress = self._progress(event.choice)
                progress.empty_calls.pop(event.index, None)
                return {"tool_calls": [{"index": event.index, "function": {"arguments": event.fragment}}]}
            case RefusalPiece():
                return {"refusal": event.text} if event.text else {}
            case Cited():
                return {"annotations": [event.annotation]}
            case MediaPiece():
                return {"content": picture(event)}
        return {}

    def _thought(self, event: ThoughtPiece) -> Json:
        progress = self._progress(event.choice)
        delta: Json = {"reasoning_content": event.text} if event.text else {}
        if event.redacted:
            delta["thinking_blocks"] = [thinking_block(event)]
        else:
            progress.thought += event.text
            if event.signature:
                delta["thinking_blocks"] = [thinking_block(ThoughtPiece(progress.thought, event.signature))]
                progress.thought = ""
        return delta

    def _delta(self, choice: int, delta: Json, finish: str | None = None) -> bytes:
        return self._chunk(choice, delta, finish, None)

    def _chunk(self, choice: int, delta: Json, finish: str | None, logprobs: Json | None) -> bytes:
        progress = self._progress(choice)
        if not progress.has_role:
            progress.has_role = True
            delta = {"role": "assistant", **delta}
        described: Json = {"index": choice, "delta": delta, "finish_reason": finish}
        if logprobs is not None:
            described["logprobs"] = logprobs
        return self._event({**self._head(), "choices": [described]})

    def _head(self) -> Json:
        self._start("", 0)
        return {"id": self._id, "object": "chat.completion.chunk", "created": self._created, "model": self._model}

    def _event(self, document: Json) -> bytes:
        return b"data: " + orjson.dumps(document) + b"\n\n"


class _Progress:
    """What one choice of a stream has had so far."""

    __slots__ = ("calls", "empty_calls", "finished", "has_role", "thought")

    def __init__(self) -> None:
        self.has_role = self.finished = False
        self.empty_calls: dict[int, None] = {}  # that have no arguments yet, in their order
        self.calls = 0
        self.thought = ""


class CompletionWriter(ChatWriter):
    """The older `/v1/completions`: text and its end, and no place for anything else."""

    def _head(self) -> Json:
        head = super()._head()
        return {**head, "id": "cmpl-" + head["id"].removeprefix("chatcmpl-"), "object": "text_completion"}

    def _chunk(self, choice: int, delta: Json, finish: str | None, logprobs: Json | None) -> bytes:
        self._progress(choice)
        said = delta.get("content") or delta.get("refusal") or ""
        if not said and finish is None:
            return b""
        if finish == "tool_calls":
            finish = "stop"
        described = {"index": choice, "text": said, "logprobs": None, "finish_reason": finish}
        return self._event({**self._head(), "choices": [described]})


def writer(call: Call) -> ChatWriter:
    return CompletionWriter(call) if call.mode is Mode.COMPLETIONS else ChatWriter(call)


def chat_document(call: Call, answer: Answer) -> Json:
    """A `chat.completion`."""
    document: Json = {
        "id": prefixed(answer.id, "chatcmpl-"),
        "object": "chat.completion",
        "created": answer.created or int(time.time()),
        "model": call.model,
        "choices": [_choice(choice) for choice in answer.choices or [Choice(0)]],
    }
    if answer.usage is not None:
        document["usage"] = usage_document(answer.usage)
    return document


def _choice(choice: Choice) -> Json:
    document: Json = {
        "index": choice.index,
        "message": _message(choice),
        "finish_reason": finish_reason(choice.finish, bool(choice.calls)),
    }
    if choice.logprobs:
        document["logprobs"] = {"content": choice.logprobs}
    return document


def _message(choice: Choice) -> Json:
    said = choice.text + "".join(picture(media) for media in choice.media)
    message: Json = {"role": "assistant", "content": said if said or not (choice.calls or choice.refusal) else None}
    if choice.thought:
        message["reasoning_content"] = choice.thought
    blocks = [thinking_block(thought) for thought in choice.thoughts if thought.signature or thought.redacted]
    if blocks:
        message["thinking_blocks"] = blocks
    if choice.refusal:
        message["refusal"] = choice.refusal
    if choice.calls:
        message["tool_calls"] = [_called(called) for called in choice.calls]
    if choice.annotations:
        message["annotations"] = choice.annotations
    return message


def _called(called: Called) -> Json:
    document: Json = {
        "id": called.id or new_id("call_"),
        "type": "function",
        "function": {"name": called.name, "arguments": called.arguments or "{}"},
    }
    if called.signature:
        document["extra_content"] = google(called.signature)
    return document


def completion_document(call: Call, answer: Answer) -> Json:
    """A `text_completion`."""
    document = chat_document(call, answer)
    document["id"] = "cmpl-" + document["id"].removeprefix("chatcmpl-")
    document["object"] = "text_completion"
    document["choices"] = [
        {
            "index": choice["index"],
            "text": choice["message"]["content"] or choice["message"].get("refusal", ""),
            "logprobs": None,
            "finish_reason": "stop" if choice["finish_reason"] == "tool_calls" else choice["finish_reason"],
        }
        for choice in document["choices"]
    ]
    return document
