"""Ollama's own protocol: chat and embeddings, one JSON document a line in streams.

https://docs.ollama.com/api/chat, /api/embed, /capabilities/thinking, /capabilities/tool-calling; relay contract of
providers, 3.7. Everything but the address is the same on a local server and on ollama.com. `/v1/completions` is
served as a chat with one turn: the model's own template applies, as it does at /api/generate without `raw`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import orjson

from billing.pricing import Usage
from relay.adapters.base import Adapter, Chat, Embeddings, Job, LinesReader, Outgoing, Outside, Reader
from relay.adapters.shape import Json, chunk, clamped, document, items, mapping, text
from relay.adapters.usual import bytes_of, chat_of, posted, reported, texts_of
from relay.errors import BadRequest, UpstreamError
from relay.neutral.events import (
    CallPiece,
    CallStarted,
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
from relay.neutral.request import Media, Part, Text, Thinking, Thought, ToolCall, ToolResult, Turn, load_arguments

NAME = "Ollama's protocol"
FINISH = {"length": FinishReason.LENGTH}  # stop, load and unload end as usual
EFFORTS = {"minimal": "low", "low": "low", "medium": "medium", "high": "high", "xhigh": "high", "max": "max"}
OPTIONS = ("num_ctx", "min_p")  # members of options that callers may name at the top


class Ollama(Adapter):
    requests = (Chat, Embeddings)
    takes_urls = False

    async def prepare(self, job: Job, outside: Outside) -> Outgoing:
        if isinstance(job.request, Embeddings):
            return posted(job, "/api/embed", _embed(job.model, job.request))
        chat = chat_of(job.request, NAME)
        return posted(job, "/api/chat", _chat(job.model, chat), stream=chat.stream)

    def read(self, job: Job, body: bytes) -> list[Event] | Vectors:
        answer = document(body)
        if error := answer.get("error"):
            raise _failure(error)
        if isinstance(job.request, Embeddings):
            return _vectors(answer)
        if not isinstance(answer.get("message"), dict):
            raise UpstreamError("the upstream's answer holds no message", code="bad_response")
        return _Events().read({**answer, "done": True})

    def reader(self, job: Job) -> Reader:
        return OllamaReader()

    def failure(self, status: int, body: bytes, retry_after: float | None) -> UpstreamError:
        error = super().failure(status, body, retry_after)
        if error.structured:
            error.kind = error.code = "ollama_error"
        return error


def _embed(model: str, request: Embeddings) -> Json:
    body: Json = {"model": model, "input": texts_of(request.inputs, NAME)}
    if request.dimensions is not None:
        body["dimensions"] = request.dimensions
    return body | {name: request.extra[name] for name in ("truncate", "keep_alive") if name in request.extra}


def _chat(model: str, chat: Chat) -> Json:
    body: Json = {"model": model, "messages": _messages(chat), "stream": chat.stream}
    tools = [] if chat.tool_choice is not None and chat.tool_choice.kind == "none" else chat.tools
    if chat.tool_choice is not None and chat.tool_choice.kind == "named":
        tools = [tool for tool in tools if tool.name == chat.tool_choice.name]
    if tools:
        body["tools"] = [
            {
                "type": "function",
                "function": {
                    "name": tool.name,
                    **({"description": tool.description} if tool.description else {}),
                    "parameters": tool.parameters or {"type": "object", "properties": {}},
                },
            }
            for tool in tools
        ]
    if chat.output is not None and chat.output.kind != "text":
        body["format"] = "json" if chat.output.kind == "json" else chat.output.schema or {"type": "object"}
    think = chat.extra["think"] if "think" in chat.extra else _think(chat.thinking)
    if think is not None:
        body["think"] = think
    if options := _options(chat):
        body["options"] = options
    if chat.logprobs:
        body["logprobs"] = True
        if chat.top_logprobs:
            body["top_logprobs"] = chat.top_logprobs
    if "keep_alive" in chat.extra:
        body["keep_alive"] = chat.extra["keep_alive"]
    return body


def _think(asked: Thinking | None) -> bool | str | None:
    if asked is None:
        return None
    if asked.effort == "none" or asked.budget == 0:
        return False
    return EFFORTS.get(asked.effort) or (True if asked.adaptive or asked.budget or asked.shown else None)


def _options(chat: Chat) -> Json:
    named: dict[str, Any] = {
        "temperature": chat.temperature,
        "top_p": chat.top_p,
        "top_k": chat.top_k,
        "seed": chat.seed,
        "frequency_penalty": chat.frequency_penalty,
        "presence_penalty": chat.presence_penalty,
        "num_predict": chat.max_tokens,
        "stop": chat.stop or None,
    } | {name: chat.extra.get(name) for name in OPTIONS}
    return mapping(chat.extra.get("options")) | {name: value for name, value in named.items() if value is not None}


def _messages(chat: Chat) -> list[Json]:
    system = "\n\n".join(part.text for part in chat.system if part.text)
    messages: list[Json] = [{"role": "system", "content": system}] if system else []
    for turn in chat.turns:
        messages += [_assistant(turn)] if turn.role == "assistant" else _user(turn)
    return messages


def _assistant(turn: Turn) -> Json:
    message: Json = {"role": "assistant", **_content(turn.parts)}
    if thinking := "".join(part.text for part in turn.parts if isinstance(part, Thought)):
        message["thinking"] = thinking
    calls = [
        {"id": part.id, "function": {"name": part.name, "arguments": load_arguments(part.arguments)}}
        for part in turn.parts
        if isinstance(part, ToolCall)
    ]
    if calls:
        message["tool_calls"] = calls
    return message


def _user(turn: Turn) -> Iterator[Json]:
    """The results of tools are messages of their own."""
    said: list[Part] = [part for part in turn.parts if not isinstance(part, ToolResult)]
    for part in turn.parts:
        if isinstance(part, ToolResult):
            message = {"role": "tool", **_content(part.parts), "tool_call_id": part.call_id}
            yield message | ({"tool_name": part.name} if part.name else {})
    if said or not turn.parts:
        yield {"role": "user", **_content(said)}


def _content(parts: list[Part] | list[Text | Media]) -> Json:
    content: Json = {"content": "".join(part.text for part in parts if isinstance(part, Text))}
    media = [part for part in parts if isinstance(part, Media)]
    if any(part.kind != "image" for part in media):
        raise BadRequest(f"{NAME} takes texts and images only")
    if media:
        content["images"] = [bytes_of(part) for part in media]
    return content


def _vectors(answer: Json) -> Vectors:
    found = answer.get("embeddings")
    if not isinstance(found, list) or not all(isinstance(vector, list) for vector in found):
        raise UpstreamError("the upstream's answer holds no embeddings", code="bad_response")
    count = answer.get("prompt_eval_count")
    return Vectors(found, None if count is None else Usage(clamped(count), 0))


class _Events:
    """What the records of one answer say, in order."""

    def __init__(self) -> None:
        self._started = False
        self._calls = 0

    def read(self, record: Json) -> list[Event]:
        events: list[Event] = []
        if not self._started:
            self._started = True
            events.append(Started())
        message = mapping(record.get("message"))
        if thinking := text(message.get("thinking")):
            events.append(ThoughtPiece(thinking))
        if content := text(message.get("content")):
            events.append(TextPiece(content))
        for call in items(message.get("tool_calls")):
            function = mapping(call.get("function"))
            given = function.get("arguments")
            arguments = text(given) or orjson.dumps(mapping(given)).decode()
            events.append(CallStarted(self._calls, text(call.get("id")) or new_id("call_"), text(function.get("name"))))
            events.append(CallPiece(self._calls, arguments))
            self._calls += 1
        if logprobs := items(record.get("logprobs")):
            events.append(Logprobs(logprobs))
        if record.get("done") is True:
            events += self._end(record)
        return events

    def _end(self, record: Json) -> list[Event]:
        """A prompt that was cached may come without its count: then ours stands for both."""
        reason = FINISH.get(text(record.get("done_reason")), FinishReason.STOP)
        if reason is FinishReason.STOP and self._calls:
            reason = FinishReason.TOOL_CALLS
        prompt, generated = record.get("prompt_eval_count"), record.get("eval_count")
        if prompt is None or generated is None:
            return [Finished(reason)]
        return [Finished(reason), Counted(Usage(clamped(prompt), clamped(generated)))]


class OllamaReader(LinesReader):
    def __init__(self) -> None:
        super().__init__()
        self._events = _Events()

    def line(self, data: bytes) -> list[Event]:
        if self.ended:
            return []
        record = chunk(data)
        if error := record.get("error"):
            self.ended = True
            return [Failed(_failure(error))]
        self.ended = self.over = record.get("done") is True
        return self._events.read(record)


def _failure(error: object) -> UpstreamError:
    """A text in the middle of an answer, or an object where a proxy wrote it."""
    message = text(error) or text(mapping(error).get("message"))
    return reported(500, message, "ollama_error", "ollama_error")
