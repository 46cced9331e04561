"""How large a prompt is, by its bytes: what a hold is computed from. Never what anybody is charged.

A hold needs a figure at once and for nothing; the exact count costs a tokenizer run. 0.38 tokens a byte is the
reference's own approximation and lies above the real count for prose, code and CJK text alike.
"""

from __future__ import annotations

from typing import Any

from relay.types import Call, Mode

PER_MESSAGE = 4  # tokens around each message of a chat
PER_IMAGE = 1105  # tokens of a large image part (relay contract, 6.7)
PER_FILE = 2000  # tokens assumed for an audio or file part


def tokens_of(size: int) -> int:
    """Tokens of `size` UTF-8 bytes of text, rounded up."""
    return (size * 38 + 99) // 100


def estimate_prompt(call: Call) -> int:
    document = call.document
    if call.mode is Mode.CHAT:
        size, extra = _messages(document["messages"])
        for name in ("tools", "functions", "response_format"):
            if document.get(name):
                size += _size(document[name])
        return tokens_of(size) + extra + 3
    if call.mode in (Mode.COMPLETIONS, Mode.EDITS):
        return _plain(document.get("prompt")) + _plain(document.get("instruction")) + _plain(document.get("input"))
    if call.mode in (Mode.EMBEDDINGS, Mode.MODERATIONS):
        return _plain(document.get("input"))
    return 0


def _plain(value: Any) -> int:
    """Text, a list of texts, token numbers, or lists of them."""
    if isinstance(value, str):
        return tokens_of(len(value.encode(errors="replace")))
    if isinstance(value, list):
        return sum(_plain(item) if not isinstance(item, int) else 1 for item in value)
    if isinstance(value, dict):
        return PER_IMAGE if "image_url" in value else _plain(value.get("text"))
    return 0


def _messages(messages: list[dict[str, Any]]) -> tuple[int, int]:
    """Bytes of text, and tokens for everything that is not text."""
    size = extra = 0
    for message in messages:
        extra += PER_MESSAGE
        content = message.get("content")
        if type(content) is str and len(message) == 2 and "role" in message:  # nearly all of them
            size += len(content) if content.isascii() else len(content.encode(errors="replace"))
            continue
        for name, value in message.items():
            if name == "role":
                continue
            if isinstance(value, str):
                size += len(value) if value.isascii() else len(value.encode(errors="replace"))
            elif isinstance(value, list):
                for part in value:
                    part_size, part_extra = _part(part)
                    size += part_size
                    extra += part_extra
            elif isinstance(value, dict):
                size += _size(value)
    return size, extra


def _part(part: Any) -> tuple[int, int]:
    if isinstance(part, dict):
        if "image_url" in part:
            return 0, PER_IMAGE
        if "input_audio" in part or "file" in part:
            return 0, PER_FILE
    return _size(part), 0


def _size(value: Any) -> int:
    """Bytes of all text in a JSON value, names included. Depth is bounded by the parser that made the value."""
    if isinstance(value, str):
        return len(value.encode(errors="replace"))
    if isinstance(value, dict):
        return sum(len(name) + 2 + _size(item) for name, item in value.items())
    if isinstance(value, list):
        return sum(_size(item) for item in value)
    return 4
