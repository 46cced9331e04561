"""OpenAI's SDK for chat completions."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import openai

from tests.relay.matrix.clients.base import TOOL_PURPOSE, Answer, Call, Client, Question
from tests.relay.matrix.scenes import CITY, INSTRUCTIONS, PICTURE, PLACE, TOOL, Figures, Json, Scene

ERRORS: dict[int, type[Exception]] = {
    400: openai.BadRequestError,
    401: openai.AuthenticationError,
    429: openai.RateLimitError,
    500: openai.InternalServerError,
}


def told(error: Exception) -> tuple[int, str]:
    assert isinstance(error, openai.APIError)
    return getattr(error, "status_code", 0), error.message


class ChatClient(Client):
    name = "OpenAI chat"
    errors = ERRORS
    words: dict[int, str] = {}

    def __init__(self, address: str, key: str) -> None:
        # Typed as Any: what a test varies is more than the SDK's overloads can follow.
        self._sdk: Any = openai.OpenAI(api_key=key, base_url=f"{address}/v1", max_retries=0, timeout=30)

    def ask(self, question: Question) -> Answer:
        return self._complete(question, _opening(question))

    def go_on(self, question: Question, answer: Answer, results: list[str]) -> Answer:
        given = [
            {"role": "tool", "tool_call_id": call.id, "content": result}
            for call, result in zip(answer.calls, results, strict=True)
        ]
        return self._complete(question, [*_opening(question), answer.history, *given])

    def word(self, error: Exception) -> str:
        return str(error.type) if isinstance(error, openai.APIError) else ""

    def told(self, error: Exception) -> tuple[int, str]:
        return told(error)

    def close(self) -> None:
        self._sdk.close()

    def watch(self, question: Question) -> tuple[str, str]:
        came = ""
        try:
            for chunk in self._sdk.chat.completions.create(**_request(question, _opening(question))):
                came += "".join(choice.delta.content or "" for choice in chunk.choices)
        except openai.APIError as error:
            return came, error.message
        return came, ""

    def _complete(self, question: Question, messages: list[Json]) -> Answer:
        answered = self._sdk.chat.completions.create(**_request(question, messages))
        if question.stream:
            message, finish, usage = _folded(answered)
        else:
            (choice,) = answered.choices
            message, finish, usage = choice.message.model_dump(exclude_none=True), choice.finish_reason, answered.usage
        calls = [
            Call(call["id"], json.loads(call["function"]["arguments"])) for call in message.get("tool_calls") or []
        ]
        figures = Figures(
            usage.prompt_tokens,
            usage.completion_tokens,
            cached=(usage.prompt_tokens_details and usage.prompt_tokens_details.cached_tokens) or 0,
            reasoning=(usage.completion_tokens_details and usage.completion_tokens_details.reasoning_tokens) or 0,
        )
        # OpenAI says "stop" where the call was the caller's choice.
        assert finish == ("tool_calls" if calls else "stop") or (finish == "stop" and question.scene is Scene.FORCED)
        text, thought = message.get("content") or "", message.get("reasoning_content") or ""
        message.pop("reasoning_content", None)
        return Answer(text, thought, calls, figures, message)


def _opening(question: Question) -> list[Json]:
    content: Any = question.scene.value
    if question.scene is Scene.PICTURE:
        url = f"data:image/png;base64,{PICTURE}"
        content = [{"type": "text", "text": content}, {"type": "image_url", "image_url": {"url": url}}]
    return [{"role": "system", "content": INSTRUCTIONS}, {"role": "user", "content": content}]


def _request(question: Question, messages: list[Json]) -> Json:
    request: Json = {"model": question.model, "messages": messages}
    match question.scene:
        case Scene.WEATHER | Scene.PONDER | Scene.FORCED:
            function = {"name": TOOL, "description": TOOL_PURPOSE, "parameters": CITY}
            request["tools"] = [{"type": "function", "function": function}]
        case Scene.DESCRIBE:
            described = {"name": "place", "schema": PLACE, "strict": True}
            request["response_format"] = {"type": "json_schema", "json_schema": described}
    if question.scene is Scene.FORCED:
        request["tool_choice"] = {"type": "function", "function": {"name": TOOL}}
    if question.scene in (Scene.THINK, Scene.PONDER):
        request["reasoning_effort"] = "medium"
    if question.stream:
        request |= {"stream": True, "stream_options": {"include_usage": True}}
    return request


def _folded(stream: Iterable[Any]) -> tuple[Json, str | None, Any]:
    """(message, finish reason, usage) of a stream."""
    message: Json = {"role": "assistant", "content": "", "reasoning_content": ""}
    calls: dict[int, Json] = {}
    finish, usage = None, None
    for chunk in stream:
        usage = chunk.usage or usage
        for choice in chunk.choices:
            delta = choice.delta
            finish = choice.finish_reason or finish
            message["content"] += delta.content or ""
            message["reasoning_content"] += (delta.model_extra or {}).get("reasoning_content") or ""
            for piece in delta.tool_calls or []:
                call = calls.setdefault(piece.index, {"type": "function", "function": {"name": "", "arguments": ""}})
                call.update({"id": piece.id} if piece.id else {})
                call.update(piece.model_extra or {})  # what a vendor wants back with the call
                call["function"]["name"] += piece.function.name or ""
                call["function"]["arguments"] += piece.function.arguments or ""
    if calls:
        message["tool_calls"] = [calls[index] for index in sorted(calls)]
    return message, finish, usage
