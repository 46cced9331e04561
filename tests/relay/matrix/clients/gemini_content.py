"""Google's SDK for Gemini's generateContent."""

from __future__ import annotations

import base64
import json
from typing import Any

from google import genai
from google.genai import errors, types

from tests.relay.matrix.clients.base import BUDGET, TOOL_PURPOSE, Answer, Call, Client, Question
from tests.relay.matrix.scenes import CITY, INSTRUCTIONS, PICTURE, PLACE, TOOL, Figures, Json, Scene


class GeminiClient(Client):
    name = "Gemini generateContent"
    errors = {400: errors.ClientError, 401: errors.ClientError, 429: errors.ClientError, 500: errors.ServerError}

    words = {400: "INVALID_ARGUMENT", 401: "UNAUTHENTICATED", 429: "RESOURCE_EXHAUSTED", 500: "INTERNAL"}

    def __init__(self, address: str, key: str) -> None:
        options = types.HttpOptions(base_url=address, api_version="v1beta", timeout=30_000)
        self._sdk = genai.Client(api_key=key, http_options=options)

    def ask(self, question: Question) -> Answer:
        return self._generate(question, _opening(question))

    def go_on(self, question: Question, answer: Answer, results: list[str]) -> Answer:
        given = [
            types.Part(
                function_response=types.FunctionResponse(id=call.id or None, name=TOOL, response=json.loads(result))
            )
            for call, result in zip(answer.calls, results, strict=True)
        ]
        return self._generate(question, [*_opening(question), answer.history, types.UserContent(given)])

    def word(self, error: Exception) -> str:
        return str(error.status) if isinstance(error, errors.APIError) else ""

    def told(self, error: Exception) -> tuple[int, str]:
        assert isinstance(error, errors.APIError)
        return error.code, str(error.message)

    def close(self) -> None:
        self._sdk.close()

    def watch(self, question: Question) -> tuple[str, str]:
        came = ""
        try:
            for chunk in self._stream(question, _opening(question)):
                came += chunk.text or ""
        except errors.APIError as error:
            return came, str(error.message)
        return came, ""

    def _stream(self, question: Question, contents: list[Any]) -> Any:
        return self._sdk.models.generate_content_stream(
            model=question.model, contents=contents, config=_config(question)
        )

    def _generate(self, question: Question, contents: list[Any]) -> Answer:
        if question.stream:
            chunks = list(self._stream(question, contents))
        else:
            chunks = [
                self._sdk.models.generate_content(model=question.model, contents=contents, config=_config(question))
            ]
        parts = [part for chunk in chunks for part in (chunk.candidates[0].content.parts if chunk.candidates else [])]
        assert chunks[-1].candidates[0].finish_reason is types.FinishReason.STOP
        usage = chunks[-1].usage_metadata
        calls = [part.function_call for part in parts if part.function_call]
        thoughts = usage.thoughts_token_count or 0
        return Answer(
            text="".join(part.text for part in parts if part.text and not part.thought),
            thought="".join(part.text for part in parts if part.text and part.thought),
            calls=[Call(call.id or "", call.args) for call in calls],
            figures=Figures(
                usage.prompt_token_count,
                (usage.candidates_token_count or 0) + thoughts,
                cached=usage.cached_content_token_count or 0,
                reasoning=thoughts,
            ),
            history=types.ModelContent(parts),
        )


def _opening(question: Question) -> list[Any]:
    parts = [types.Part(text=question.scene.value)]
    if question.scene is Scene.PICTURE:
        parts.append(types.Part.from_bytes(data=base64.b64decode(PICTURE), mime_type="image/png"))
    return [types.UserContent(parts)]


def _config(question: Question) -> types.GenerateContentConfig:
    config: Json = {"system_instruction": INSTRUCTIONS}
    match question.scene:
        case Scene.WEATHER | Scene.PONDER | Scene.FORCED:
            function = types.FunctionDeclaration(name=TOOL, description=TOOL_PURPOSE, parameters_json_schema=CITY)
            config["tools"] = [types.Tool(function_declarations=[function])]
        case Scene.DESCRIBE:
            config |= {"response_mime_type": "application/json", "response_json_schema": PLACE}
    if question.scene is Scene.FORCED:
        any_of = types.FunctionCallingConfig(mode=types.FunctionCallingConfigMode.ANY, allowed_function_names=[TOOL])
        config["tool_config"] = types.ToolConfig(function_calling_config=any_of)
    if question.scene in (Scene.THINK, Scene.PONDER):
        config["thinking_config"] = types.ThinkingConfig(include_thoughts=True, thinking_budget=BUDGET)
    return types.GenerateContentConfig(**config)
