"""Whole answers in OpenAI's shapes, deterministic: the same request and script give the same bytes.

Shapes from the public API reference of platform.openai.com (chat, completions, embeddings, moderations, images, audio,
models).
"""

from __future__ import annotations

import base64
import json
import struct
from collections.abc import Mapping
from typing import Any

from tests.upstream.script import Script

CREATED = 1_700_000_000  # of every object
ID = "chatcmpl-scripted"
# A red 1x1 PNG, so that an image answer can be opened.
PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR4nGP4z8DwHwAFAAH/iZk9HQAAAABJRU5ErkJggg=="
)
SPEECH = b"ID3\x04\x00" + bytes(range(256)) * 8  # starts as an MP3 does
EMBEDDING = [0.25, -0.5, 0.125]
MODELS = ("gpt-4o-mini", "gpt-4o", "text-embedding-3-small", "dall-e-2", "whisper-1", "tts-1")
SECONDS = 1.5  # length of every recording

Json = dict[str, Any]


def dumps(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def usage_of(script: Script, *, completion: bool = True) -> Json | None:
    """The usage object, or None for a provider that never tells. Embeddings have no completion."""
    if script.usage is None:
        return None
    prompt, answered = script.usage
    if not completion:
        return {"prompt_tokens": prompt, "total_tokens": prompt}
    return {"prompt_tokens": prompt, "completion_tokens": answered, "total_tokens": prompt + answered}


def with_usage(answer: Json, usage: Json | None) -> Json:
    return answer if usage is None else {**answer, "usage": usage}


def chat(model: str, script: Script) -> Json:
    choice = {
        "index": 0,
        "message": {"role": "assistant", "content": script.speech, "refusal": None},
        "logprobs": None,
        "finish_reason": "stop",
    }
    answer = {"id": ID, "object": "chat.completion", "created": CREATED, "model": model, "choices": [choice]}
    return with_usage(answer, usage_of(script))


def completion(model: str, script: Script) -> Json:
    choice = {"text": script.speech, "index": 0, "logprobs": None, "finish_reason": "stop"}
    answer = {"id": "cmpl-scripted", "object": "text_completion", "created": CREATED, "model": model}
    return with_usage({**answer, "choices": [choice]}, usage_of(script))


def edit(script: Script) -> Json:
    choice = {"text": script.speech, "index": 0}
    return with_usage({"object": "edit", "created": CREATED, "choices": [choice]}, usage_of(script))


def embeddings(model: str, body: Mapping[str, Any], script: Script) -> Json:
    """One vector an input, as numbers or as base64 of little-endian 32-bit floats."""
    inputs = body.get("input", "")
    several = isinstance(inputs, list) and not (inputs and isinstance(inputs[0], int))
    vector: object = EMBEDDING
    if body.get("encoding_format") == "base64":
        vector = base64.b64encode(struct.pack(f"<{len(EMBEDDING)}f", *EMBEDDING)).decode()
    data = [{"object": "embedding", "index": i, "embedding": vector} for i in range(len(inputs) if several else 1)]
    return with_usage({"object": "list", "data": data, "model": model}, usage_of(script, completion=False))


def moderation(model: str, body: Mapping[str, Any]) -> Json:
    inputs = body.get("input", "")
    result = {"flagged": False, "categories": {"violence": False}, "category_scores": {"violence": 0.001}}
    count = len(inputs) if isinstance(inputs, list) else 1
    return {"id": "modr-scripted", "model": model, "results": [result] * count}


def images(count: int, response_format: str) -> Json:
    if response_format == "b64_json":
        data = [{"b64_json": base64.b64encode(PNG).decode()}] * count
    else:
        data = [{"url": f"https://images.example/{i}.png"} for i in range(count)]
    return {"created": CREATED, "data": data}


def transcript(script: Script, response_format: str, task: str) -> tuple[str, bytes]:
    """(content type, body) of a transcription or translation in any of the five formats."""
    text = script.speech
    match response_format:
        case "text":
            return "text/plain; charset=utf-8", f"{text}\n".encode()
        case "srt":
            return "text/plain; charset=utf-8", f"1\n00:00:00,000 --> 00:00:01,500\n{text}\n\n".encode()
        case "vtt":
            return "text/plain; charset=utf-8", f"WEBVTT\n\n00:00:00.000 --> 00:00:01.500\n{text}\n\n".encode()
        case "verbose_json":
            segment = {
                "id": 0,
                "seek": 0,
                "start": 0.0,
                "end": SECONDS,
                "text": text,
                "tokens": [1],
                "temperature": 0.0,
            }
            whole = {"task": task, "language": "english", "duration": SECONDS, "text": text, "segments": [segment]}
            return "application/json", dumps(whole)
        case _:
            return "application/json", dumps({"text": text})


def model_object(model: str) -> Json:
    return {"id": model, "object": "model", "created": CREATED, "owned_by": "upstream"}


def model_list() -> Json:
    return {"object": "list", "data": [model_object(model) for model in MODELS]}


def error_object(script: Script) -> Json:
    return {"message": script.message, "type": script.type, "param": None, "code": script.code}


def error_body(script: Script) -> tuple[str, bytes]:
    """(content type, body) of an error in the shape the script names."""
    match script.error:
        case "html":
            page = f"<html><head><title>{script.status}</title></head><body><h1>{script.message}</h1></body></html>"
            return "text/html", page.encode()
        case "empty":
            return "application/json", b""
        case "odd":
            return "application/json", dumps({"ok": False, "detail": [{"loc": ["body"], "msg": script.message}]})
        case "text":
            return "application/json", dumps({"error": script.message})
        case "message":
            return "application/json", dumps({"message": script.message})
        case "json":
            return "application/json", dumps(script.body)
        case _:
            return "application/json", dumps({"error": error_object(script)})
