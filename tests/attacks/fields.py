"""Every field of a caller's request that takes an address, and a channel whose adapter fetches what it names.

Anthropic's and OpenAI's upstreams open some addresses themselves; those travel on as text and nothing here connects.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

GEMINI, OPENAI, OLLAMA, ANTHROPIC = "gemini-2.5-flash", "gpt-4o-mini", "llama3:latest", "claude-3-haiku-20240307"
CHANNELS = {GEMINI: 24, OPENAI: 1, OLLAMA: 30, ANTHROPIC: 14}  # model and the type of the channel that serves it


@dataclass(frozen=True, slots=True)
class Field:
    """`left`: whether an address is not for us to open: the upstream does, or the text counts as data."""

    path: str
    body: Callable[[str], dict[str, Any]]
    left: Callable[[str], bool] = lambda _url: False


def _chat(model: str, part: Callable[[str], dict[str, Any]]) -> Callable[[str], dict[str, Any]]:
    return lambda url: {"model": model, "messages": [{"role": "user", "content": [part(url)]}]}


def _chat_tool(url: str) -> dict[str, Any]:
    call = {"id": "call_1", "type": "function", "function": {"name": "look", "arguments": "{}"}}
    seen = {"role": "tool", "tool_call_id": "call_1", "content": [_image_url(url)]}
    asked = [{"role": "user", "content": "Look."}, {"role": "assistant", "tool_calls": [call]}]
    return {"model": GEMINI, "messages": [*asked, seen]}


def _image_url(url: str) -> dict[str, Any]:
    return {"type": "image_url", "image_url": {"url": url}}


def _responses(part: Callable[[str], dict[str, Any]]) -> Callable[[str], dict[str, Any]]:
    return lambda url: {"model": GEMINI, "input": [{"role": "user", "content": [part(url)]}]}


def _messages(model: str, part: Callable[[str], dict[str, Any]]) -> Callable[[str], dict[str, Any]]:
    return lambda url: {"model": model, "max_tokens": 9, "messages": [{"role": "user", "content": [part(url)]}]}


def _source(kind: str) -> Callable[[str], dict[str, Any]]:
    return lambda url: {"type": kind, "source": {"type": "url", "url": url}}


def _messages_tool(url: str) -> dict[str, Any]:
    use = {"type": "tool_use", "id": "toolu_1", "name": "look", "input": {}}
    result = {"type": "tool_result", "tool_use_id": "toolu_1", "content": [_source("image")(url)]}
    turns = [
        {"role": "user", "content": "Look."},
        {"role": "assistant", "content": [use]},
        {"role": "user", "content": [result]},
    ]
    return {"model": GEMINI, "max_tokens": 9, "messages": turns}


def _contents(url: str) -> dict[str, Any]:
    return {"contents": [{"role": "user", "parts": [{"fileData": {"mimeType": "image/png", "fileUri": url}}]}]}


CHAT, RESPONSES, MESSAGES = "/v1/chat/completions", "/v1/responses", "/v1/messages"
FIELDS = {
    "chat image_url": Field(CHAT, _chat(GEMINI, _image_url)),
    "chat image_url as text": Field(CHAT, _chat(GEMINI, lambda url: {"type": "image_url", "image_url": url})),
    "chat video_url": Field(CHAT, _chat(GEMINI, lambda url: {"type": "video_url", "video_url": {"url": url}})),
    "chat file": Field(
        CHAT,
        _chat(GEMINI, lambda url: {"type": "file", "file": {"filename": "a.pdf", "file_data": url}}),
        lambda url: not url.startswith(("http://", "https://")),
    ),
    "chat tool's answer": Field(CHAT, _chat_tool),
    "chat image_url, Ollama": Field(CHAT, _chat(OLLAMA, _image_url)),
    "chat image_url, Anthropic": Field(CHAT, _chat(ANTHROPIC, _image_url), lambda url: url.startswith("https://")),
    "responses input_image": Field(RESPONSES, _responses(lambda url: {"type": "input_image", "image_url": url})),
    "responses input_file": Field(RESPONSES, _responses(lambda url: {"type": "input_file", "file_url": url})),
    "messages image": Field(MESSAGES, _messages(GEMINI, _source("image"))),
    "messages document": Field(MESSAGES, _messages(GEMINI, _source("document"))),
    "messages document, OpenAI": Field(MESSAGES, _messages(OPENAI, _source("document"))),
    "messages tool's answer": Field(MESSAGES, _messages_tool),
    "generateContent fileUri": Field(f"/v1beta/models/{OLLAMA}:generateContent", _contents),
}
