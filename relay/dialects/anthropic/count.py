"""The prompt of an Anthropic request in tokens: by size for a hold, by our own tokenizer for /v1/messages/count_tokens.

Anthropic's channels count for themselves and for nothing; elsewhere ours is the count. Reasoning of earlier turns is
not counted, as Anthropic does (https://platform.claude.com/docs/en/build-with-claude/token-counting); pictures cost
their area in pixels by 750, after scaling to at most 1568 pixels a side (/build-with-claude/vision).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import orjson

from billing.pictures import DATA_URL, data_url_size
from billing.tokens import approximate, count_text
from relay.neutral.request import Json
from relay.types import Call

PER_MESSAGE = 3  # tokens around each message and around the whole
PER_DOCUMENT = 2000  # tokens assumed for a PDF
LARGEST_PICTURE = 1600  # tokens of a picture of the largest size, and of one whose size is not known
LONGEST_SIDE = 1568  # pixels
PIXELS_PER_TOKEN = 750

Counter = Callable[[str], int]


def count(call: Call) -> int:
    """Input tokens of a request to count. Blocking, and slow for long texts: run it in a thread."""
    return _measure(call.document, lambda text: count_text(call.model, text))


def estimate(document: Json) -> int:
    """The same by size alone, at once."""
    return _measure(document, approximate)


def answer(tokens: int) -> bytes:
    return orjson.dumps({"input_tokens": tokens})


def _measure(document: Json, count: Counter) -> int:
    tokens = PER_MESSAGE + _content(document.get("system"), count)
    messages = document.get("messages")
    for message in messages if isinstance(messages, list) else []:
        if isinstance(message, dict):
            tokens += PER_MESSAGE + _content(message.get("content"), count)
    tools = document.get("tools")
    for tool in tools if isinstance(tools, list) else []:
        if isinstance(tool, dict):
            told = {name: value for name, value in tool.items() if name in ("name", "description", "input_schema")}
            tokens += PER_MESSAGE + count(orjson.dumps(told).decode())
    return tokens


def _content(content: Any, count: Counter) -> int:
    if isinstance(content, str):
        return count(content)
    blocks = content if isinstance(content, list) else []
    return sum(_block(block, count) for block in blocks if isinstance(block, dict))


def _block(block: Json, count: Counter) -> int:
    source = block.get("source")
    source = source if isinstance(source, dict) else {}
    match block.get("type"):
        case "image":
            return _picture(source)
        case "document":
            title = _text(block.get("title"), count) + _text(block.get("context"), count)
            match source.get("type"):
                case "text":
                    return title + _text(source.get("data"), count)
                case "content":
                    return title + _content(source.get("content"), count)
            return title + PER_DOCUMENT
        case "tool_use" | "server_tool_use":
            return _text(block.get("name"), count) + count(orjson.dumps(block.get("input")).decode())
        case "thinking" | "redacted_thinking":
            return 0
    return _text(block.get("text"), count) + _content(block.get("content"), count)


def _picture(source: Json) -> int:
    data = source.get("data")
    size = data_url_size(f"{DATA_URL}any;base64,{data}") if isinstance(data, str) else None
    if size is None or not min(size):
        return LARGEST_PICTURE
    width, height = size
    longer = max(width, height)
    if longer > LONGEST_SIDE:
        width, height = width * LONGEST_SIDE // longer, height * LONGEST_SIDE // longer
    return min(-(-width * height // PIXELS_PER_TOKEN), LARGEST_PICTURE)


def _text(value: Any, count: Counter) -> int:
    return count(value) if isinstance(value, str) else 0
