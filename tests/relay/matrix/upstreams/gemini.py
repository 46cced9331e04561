"""Google's Gemini API.

https://ai.google.dev/api/generate-content, /gemini-api/docs/function-calling, /gemini-api/docs/thought-signatures,
/gemini-api/docs/thinking, /gemini-api/docs/troubleshooting
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator
from typing import Any

import orjson

from tests.relay.matrix.scenes import FAILURE, TOOL, Figures, Heard, Json, Refused, Said, need, only
from tests.relay.matrix.upstreams.base import Answer, Upstream, addressed, body_of, credential, document, path_of
from tests.upstream.wire import Request

MEMBERS = ("contents", "systemInstruction", "tools", "toolConfig", "safetySettings", "generationConfig")
CONFIG = (
    *("temperature", "topP", "topK", "maxOutputTokens", "stopSequences", "candidateCount", "seed", "thinkingConfig"),
    *("presencePenalty", "frequencyPenalty", "responseMimeType", "responseSchema", "responseJsonSchema"),
)
SCHEMA = frozenset(  # https://ai.google.dev/api/caching#Schema
    {
        *("type", "format", "title", "description", "nullable", "enum", "items", "properties", "required", "anyOf"),
        *("minimum", "maximum", "minItems", "maxItems", "minProperties", "maxProperties", "minLength", "maxLength"),
        *("pattern", "example", "default", "propertyOrdering"),
    }
)
FREE = ("args", "response", "parametersJsonSchema", "responseJsonSchema", "properties")
SIGNATURE = "dGhvdWdodCBvZiB0aGUgdXBzdHJlYW0="
FOREIGN = "skip_thought_signature_validator"
STATUS = {400: "INVALID_ARGUMENT", 401: "UNAUTHENTICATED", 429: "RESOURCE_EXHAUSTED", 500: "INTERNAL"}


class Gemini(Upstream):
    name = "Gemini"
    channel_type = 24
    key = "AIza-gemini"
    models = {None: "gemini-3-flash-preview"}
    signed = True  # its calls come back with their signatures, or not at all

    def hear(self, request: Request) -> Heard:
        credential(request, "x-goog-api-key", self.key)
        action = path_of(request).rpartition(":")[2]
        version = request.target.split("/")[1]
        need(version in ("v1", "v1beta"), f"version {version}")
        target = f"/{version}/models/{self.models[None]}:{action}"
        addressed(request, target + "?alt=sse" if action == "streamGenerateContent" else target)
        return hear(in_camels(body_of(request)), self.models[None], action == "streamGenerateContent", self.signed)

    def whole(self, heard: Heard, said: Said) -> Answer:
        return document(answer(heard, parts(said, self.signed), said.figures, "STOP"))

    def pieces(self, heard: Heard, said: Said) -> Iterator[bytes]:
        return pieces(heard, said, self.signed)

    def midway(self) -> bytes:
        return midway()

    def refusal(self, refused: Refused) -> Answer:
        return Answer(orjson.dumps(error(refused)))


def midway() -> bytes:
    return _event(error(Refused(FAILURE, 500)))


def error(refused: Refused) -> Json:
    status = STATUS.get(refused.status, "INVALID_ARGUMENT")
    return {"error": {"code": refused.status, "message": refused.message, "status": status}}


def in_camels(value: Any, free: bool = False) -> Any:
    """Google takes the members' names in either spelling (https://protobuf.dev/programming-guides/json), but for what
    is the caller's own: arguments, results and schemas."""
    if isinstance(value, list):
        return [in_camels(item) for item in value]
    if not isinstance(value, dict) or free:
        return value
    named = {re.sub(r"_(\w)", lambda letter: letter[1].upper(), name): member for name, member in value.items()}
    return {name: in_camels(member, name in FREE) for name, member in named.items()}


def hear(body: Json, model: str, stream: bool, signed: bool) -> Heard:
    """Raises Refused."""
    only(body, "body", *MEMBERS)
    heard = Heard(model, stream)
    heard.system = "".join(part["text"] for part in body.get("systemInstruction", {}).get("parts", []))
    for tool in body.get("tools", []):
        only(tool, "tools", "functionDeclarations")
        for function in tool["functionDeclarations"]:
            only(function, "functionDeclarations", "name", "description", "parameters", "parametersJsonSchema")
            need(not {"parameters", "parametersJsonSchema"} <= set(function), "two schemas")
            _check(function.get("parameters"))
            heard.tools[function["name"]] = function.get("parameters") or function.get("parametersJsonSchema")
    calling = body.get("toolConfig", {}).get("functionCallingConfig", {})
    only(calling, "functionCallingConfig", "mode", "allowedFunctionNames")
    if calling.get("mode") == "ANY":
        (heard.must_call,) = calling["allowedFunctionNames"]
    config = body.get("generationConfig", {})
    only(config, "generationConfig", *CONFIG)
    heard.schema = config.get("responseJsonSchema") or config.get("responseSchema")
    _check(config.get("responseSchema"))
    need(heard.schema is None or config.get("responseMimeType") == "application/json", "responseMimeType")
    thinking = config.get("thinkingConfig", {})
    only(thinking, "thinkingConfig", "includeThoughts", "thinkingBudget", "thinkingLevel")
    need(not {"thinkingBudget", "thinkingLevel"} <= set(thinking), "level and budget")
    heard.thinks = bool({"thinkingBudget", "thinkingLevel"} & set(thinking))
    heard.shows_thoughts = bool(thinking.get("includeThoughts"))
    _contents(heard, body["contents"], signed)
    return heard


def _check(schema: Json | None) -> None:
    """Of OpenAPI's subset, at every depth."""
    if schema is None:
        return
    need(set(schema) <= SCHEMA, f"unknown name in schema: {sorted(set(schema) - SCHEMA)}")
    for member in schema.get("properties", {}).values():
        _check(member)
    _check(schema.get("items"))


def _contents(heard: Heard, contents: list[Json], signed: bool) -> None:
    need(contents, "contents is not specified")
    called: list[Json] = []
    for content in contents:
        only(content, "contents", "role", "parts")
        told = content["parts"]
        need(told and content["role"] in ("user", "model"), f"contents: {content['role']}")
        answers = [part["functionResponse"] for part in told if "functionResponse" in part]
        need(
            [each["name"] for each in answers] == [each["name"] for each in called],
            "the number of function response parts must be equal to that of the function call parts",
        )
        if signed and answers:
            need([one.get("id") for one in answers] == [one.get("id") for one in called], "ids of function responses")
        heard.results = [orjson.dumps(each["response"]).decode() for each in answers]
        calls = [part for part in told if "functionCall" in part]
        called = [part["functionCall"] for part in calls]
        need(not called or content["role"] == "model", "function calls of the user")
        if signed and calls:
            need(
                calls[0].get("thoughtSignature") in (SIGNATURE, FOREIGN), "function call is missing a thought_signature"
            )
        if content["role"] == "user":
            said = "".join(part.get("text", "") for part in told)
            heard.said += [said] if said else []
            blobs = [part["inlineData"] for part in told if "inlineData" in part]
            need(all(blob.get("mimeType") == "image/png" for blob in blobs), "inlineData.mimeType")
            heard.pictures += [_as_standard(blob["data"]) for blob in blobs]


def _as_standard(data: str) -> str:
    """Bytes may come in either alphabet of base64."""
    return base64.b64encode(base64.urlsafe_b64decode(data.replace("+", "-").replace("/", "_"))).decode()


def parts(said: Said, signed: bool) -> list[Json]:
    made: list[Json] = [{"text": said.thought, "thought": True}] if said.thought else []
    if said.text:
        made.append({"text": said.text})
    for place, arguments in enumerate(said.calls):
        call: Json = {"name": TOOL, "args": orjson.loads(arguments)}
        part: Json = {"functionCall": {**call, "id": f"fc{place}"} if signed else call}
        made.append({**part, "thoughtSignature": SIGNATURE} if signed and not place else part)
    return made


def counts(figures: Figures) -> Json:
    """Thoughts are counted beside the candidates."""
    told = {
        "promptTokenCount": figures.prompt,
        "candidatesTokenCount": figures.completion - figures.reasoning,
        "totalTokenCount": figures.prompt + figures.completion,
        "promptTokensDetails": [{"modality": "TEXT", "tokenCount": figures.prompt}],
    }
    told |= {"cachedContentTokenCount": figures.cached} if figures.cached else {}
    return told | ({"thoughtsTokenCount": figures.reasoning} if figures.reasoning else {})


def answer(heard: Heard, said: list[Json], figures: Figures, finish: str = "") -> Json:
    candidate: Json = {"content": {"parts": said, "role": "model"}, "index": 0}
    candidate |= {"finishReason": finish} if finish else {}
    return {
        "candidates": [candidate],
        "usageMetadata": counts(figures),
        "modelVersion": heard.model,
        "responseId": "rsp1",
    }


def pieces(heard: Heard, said: Said, signed: bool) -> Iterator[bytes]:
    """Every chunk is an answer with new parts; figures are cumulative."""
    so_far = Figures(said.figures.prompt, said.figures.reasoning + 1, said.figures.cached, 0, said.figures.reasoning)
    if said.thought:
        yield _event(answer(heard, [{"text": said.thought, "thought": True}], so_far))
    for piece in said.pieces:
        yield _event(answer(heard, [{"text": piece}], so_far))
    if said.calls:
        yield _event(answer(heard, parts(Said(calls=said.calls), signed), so_far))
    yield _event(answer(heard, [{"text": ""}], said.figures, "STOP"))


def _event(chunk: Json) -> bytes:
    return b"data: " + orjson.dumps(chunk) + b"\r\n\r\n"
