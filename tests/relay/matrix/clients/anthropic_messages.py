"""Anthropic's SDK for messages."""

from __future__ import annotations

from typing import Any

import anthropic

from tests.relay.matrix.clients.base import BUDGET, MAXIMUM, TOOL_PURPOSE, Answer, Call, Client, Question
from tests.relay.matrix.scenes import CITY, INSTRUCTIONS, PICTURE, PLACE, TOOL, Figures, Json, Scene


class MessagesClient(Client):
    name = "Anthropic messages"
    errors = {
        400: anthropic.BadRequestError,
        401: anthropic.AuthenticationError,
        429: anthropic.RateLimitError,
        500: anthropic.InternalServerError,
    }

    words = {400: "invalid_request_error", 401: "authentication_error", 429: "rate_limit_error", 500: "api_error"}

    def __init__(self, address: str, key: str) -> None:
        self._sdk: Any = anthropic.Anthropic(api_key=key, base_url=address, max_retries=0, timeout=30)

    def ask(self, question: Question) -> Answer:
        return self._message(question, _opening(question))

    def go_on(self, question: Question, answer: Answer, results: list[str]) -> Answer:
        given = [
            {"type": "tool_result", "tool_use_id": call.id, "content": result}
            for call, result in zip(answer.calls, results, strict=True)
        ]
        return self._message(question, [*_opening(question), answer.history, {"role": "user", "content": given}])

    def word(self, error: Exception) -> str:
        assert isinstance(error, anthropic.APIStatusError)
        body: Any = error.body
        assert body["type"] == "error"
        return str(body["error"]["type"])

    def told(self, error: Exception) -> tuple[int, str]:
        assert isinstance(error, anthropic.APIError)
        return getattr(error, "status_code", 0), error.message

    def close(self) -> None:
        self._sdk.close()

    def watch(self, question: Question) -> tuple[str, str]:
        came = ""
        try:
            with self._sdk.messages.stream(**_request(question, _opening(question))) as stream:
                for text in stream.text_stream:
                    came += text
        except anthropic.APIError as error:
            return came, error.message
        return came, ""

    def _message(self, question: Question, messages: list[Json]) -> Answer:
        request = _request(question, messages)
        if question.stream:
            with self._sdk.messages.stream(**request) as stream:
                message = stream.get_final_message()
        else:
            message = self._sdk.messages.create(**request)
        calls = [block for block in message.content if block.type == "tool_use"]
        assert message.stop_reason == ("tool_use" if calls else "end_turn")
        usage = message.usage
        read, written = usage.cache_read_input_tokens or 0, usage.cache_creation_input_tokens or 0
        details = usage.output_tokens_details
        return Answer(
            text="".join(block.text for block in message.content if block.type == "text"),
            thought="".join(block.thinking for block in message.content if block.type == "thinking"),
            calls=[Call(call.id, call.input) for call in calls],
            figures=Figures(
                usage.input_tokens + read + written,
                usage.output_tokens,
                cached=read,
                written=written,
                reasoning=details.thinking_tokens if details else 0,
            ),
            history={
                "role": "assistant",
                "content": [block.model_dump(exclude_none=True, exclude={"caller"}) for block in message.content],
            },
        )


def _opening(question: Question) -> list[Json]:
    content: list[Json] = [{"type": "text", "text": question.scene.value}]
    if question.scene is Scene.PICTURE:
        source = {"type": "base64", "media_type": "image/png", "data": PICTURE}
        content.insert(0, {"type": "image", "source": source})
    return [{"role": "user", "content": content}]


def _request(question: Question, messages: list[Json]) -> Json:
    request: Json = {"model": question.model, "max_tokens": MAXIMUM, "system": INSTRUCTIONS, "messages": messages}
    match question.scene:
        case Scene.WEATHER | Scene.PONDER | Scene.FORCED:
            request["tools"] = [{"name": TOOL, "description": TOOL_PURPOSE, "input_schema": CITY}]
        case Scene.DESCRIBE:
            request["output_config"] = {"format": {"type": "json_schema", "schema": PLACE}}
    if question.scene is Scene.FORCED:
        request["tool_choice"] = {"type": "tool", "name": TOOL}
    if question.scene in (Scene.THINK, Scene.PONDER):
        request["thinking"] = {"type": "enabled", "budget_tokens": BUDGET}
    return request
