"""The prompt of a Gemini request in tokens: by size for a hold, by our own tokenizer for countTokens.

Gemini's channels count for themselves and for nothing; elsewhere ours is the count. What media cost:
https://ai.google.dev/gemini-api/docs/tokens (258 tokens a tile of 768 by 768 pixels, 32 a second of sound, 263 a second
of video) and /gemini-api/docs/media-resolution.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import orjson

from billing.pictures import DATA_URL, data_url_size
from billing.tokens import approximate, count_text
from relay.adapters.shape import items, mapping, text
from relay.neutral.request import Json

PER_CONTENT = 3  # tokens around each content and around the whole
PER_TILE = 258
SMALL = 384  # pixels: a picture not wider nor higher is one tile
TILE = 768
LARGEST_PICTURE = 1120  # tokens of a picture whose size is not known
PER_FILE = 2000  # tokens assumed for a sound, a video or a document

Counter = Callable[[str], int]


def count(model: str, document: Json) -> int:
    """Input tokens of a chat, exactly. Blocking, and slow for long texts: run it in a thread."""
    return _measure(document, lambda words: count_text(model, words))


def estimate(document: Json) -> int:
    """The same by size alone, at once."""
    return _measure(document, approximate)


def count_embeddings(model: str, requests: list[Json]) -> int:
    return sum(_content(request.get("content"), lambda words: count_text(model, words)) for request in requests)


def estimate_embeddings(requests: list[Json]) -> int:
    return sum(_content(request.get("content"), approximate) for request in requests)


def answer(tokens: int) -> bytes:
    """The body of countTokens' answer: https://ai.google.dev/api/tokens#response-body."""
    details = [{"modality": "TEXT", "tokenCount": tokens}]
    return orjson.dumps({"totalTokens": tokens, "promptTokensDetails": details})


def _either(document: Json, name: str, other: str) -> Any:
    value = document.get(name)
    return document.get(other) if value is None else value


def _measure(document: Json, count: Counter) -> int:
    instruction = _either(document, "systemInstruction", "system_instruction")
    tokens = PER_CONTENT + (count(instruction) if isinstance(instruction, str) else _content(instruction, count))
    for content in items(document.get("contents")):
        tokens += PER_CONTENT + _content(content, count)
    for tool in items(document.get("tools")):
        for declaration in items(_either(tool, "functionDeclarations", "function_declarations")):
            tokens += PER_CONTENT + count(orjson.dumps(declaration).decode())
    config = mapping(_either(document, "generationConfig", "generation_config"))
    for name in ("responseSchema", "response_schema", "responseJsonSchema", "response_json_schema"):
        if config.get(name):
            tokens += count(orjson.dumps(config[name]).decode())
    return tokens


def _content(content: Any, count: Counter) -> int:
    return sum(_part(part, count) for part in items(mapping(content).get("parts")))


def _part(part: Json, count: Counter) -> int:
    tokens = count(text(part.get("text"))) if part.get("text") else 0
    for name, other in (("functionCall", "function_call"), ("functionResponse", "function_response")):
        called = mapping(_either(part, name, other))
        if called:
            told = {name: value for name, value in called.items() if name in ("name", "args", "response")}
            tokens += count(orjson.dumps(told).decode())
            tokens += sum(_part(inner, count) for inner in items(called.get("parts")))
    for name, other in (("inlineData", "inline_data"), ("fileData", "file_data")):
        blob = mapping(_either(part, name, other))
        if blob:
            mime = text(_either(blob, "mimeType", "mime_type"))
            tokens += _picture(text(blob.get("data"))) if mime.startswith("image/") else PER_FILE
    for name in ("executableCode", "executable_code", "codeExecutionResult", "code_execution_result"):
        if part.get(name):
            tokens += count(orjson.dumps(part[name]).decode())
    return tokens


def _picture(data: str) -> int:
    size = data_url_size(f"{DATA_URL}any;base64,{data}") if data else None
    if size is None or not min(size):
        return LARGEST_PICTURE
    width, height = size
    if max(width, height) <= SMALL:
        return PER_TILE
    return PER_TILE * min(-(-width // TILE) * -(-height // TILE), 64)
