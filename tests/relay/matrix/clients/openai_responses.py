"""OpenAI's SDK for responses."""

from __future__ import annotations

import json
from typing import Any

import openai

from tests.relay.matrix.clients.base import TOOL_PURPOSE, Answer, Call, Client, Question
from tests.relay.matrix.clients.openai_chat import ERRORS, told
from tests.relay.matrix.scenes import CITY, INSTRUCTIONS, PICTURE, PLACE, TOOL, Figures, Json, Scene


class ResponsesClient(Client):
    name = "OpenAI responses"
    errors = ERRORS
    words: dict[int, str] = {}

    def __init__(self, address: str, key: str) -> None:
        self._sdk: Any = openai.OpenAI(api_key=key, base_url=f"{address}/v1", max_retries=0, timeout=30)

    def ask(self, question: Question) -> Answer:
        return self._respond(question, _opening(question))

    def go_on(self, question: Question, answer: Answer, results: list[str]) -> Answer:
        given = [
            {"type": "function_call_output", "call_id": call.id, "output": result}
            for call, result in zip(answer.calls, results, strict=True)
        ]
        return self._respond(question, [*_opening(question), *answer.history, *given])

    def word(self, error: Exception) -> str:
        return str(error.type) if isinstance(error, openai.APIError) else ""

    def told(self, error: Exception) -> tuple[int, str]:
        return told(error)

    def close(self) -> None:
        self._sdk.close()

    def watch(self, question: Question) -> tuple[str, str]:
        came = ""
        for event in self._sdk.responses.create(**_request(question, _opening(question)), stream=True):
            if event.type == "response.output_text.delta":
                came += event.delta
            elif event.type == "error":
                return came, event.message
            elif event.type == "response.failed":
                return came, event.response.error.message
        return came, ""

    def _respond(self, question: Question, items: list[Json]) -> Answer:
        request = _request(question, items)
        if question.stream:
            with self._sdk.responses.stream(**request) as stream:
                events = list(stream)
                response = stream.get_final_response()
            said = "".join(event.delta for event in events if event.type == "response.output_text.delta")
            assert said == response.output_text
            numbers = [event.sequence_number for event in events]
            assert numbers == sorted(set(numbers))
        else:
            response = self._sdk.responses.create(**request)
        assert response.status == "completed"
        thoughts = [item for item in response.output if item.type == "reasoning"]
        calls = [item for item in response.output if item.type == "function_call"]
        usage = response.usage
        return Answer(
            text=response.output_text,
            thought="".join(part.text for item in thoughts for part in item.summary),
            calls=[Call(call.call_id, json.loads(call.arguments)) for call in calls],
            figures=Figures(
                usage.input_tokens,
                usage.output_tokens,
                cached=usage.input_tokens_details.cached_tokens,
                reasoning=usage.output_tokens_details.reasoning_tokens,
            ),
            history=[
                item.model_dump(exclude_none=True, exclude={"parsed_arguments"}, by_alias=True)
                for item in response.output
            ],
        )


def _opening(question: Question) -> list[Json]:
    content: list[Json] = [{"type": "input_text", "text": question.scene.value}]
    if question.scene is Scene.PICTURE:
        content.append({"type": "input_image", "image_url": f"data:image/png;base64,{PICTURE}"})
    return [{"role": "user", "content": content}]


def _request(question: Question, items: list[Json]) -> Json:
    request: Json = {"model": question.model, "instructions": INSTRUCTIONS, "input": items}
    match question.scene:
        case Scene.WEATHER | Scene.PONDER | Scene.FORCED:
            tool = {"type": "function", "name": TOOL, "description": TOOL_PURPOSE, "parameters": CITY, "strict": False}
            request["tools"] = [tool]
        case Scene.DESCRIBE:
            request["text"] = {"format": {"type": "json_schema", "name": "place", "schema": PLACE, "strict": True}}
    if question.scene is Scene.FORCED:
        request["tool_choice"] = {"type": "function", "name": TOOL}
    if question.scene in (Scene.THINK, Scene.PONDER):
        request["reasoning"] = {"effort": "medium", "summary": "auto"}
    return request
