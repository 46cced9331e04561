"""Anthropic's content blocks as parts of a conversation. https://platform.claude.com/docs/en/api/messages

`where` names the place in the request, as in "messages.3.content.0"; it is what an error message begins with.
"""

from __future__ import annotations

from typing import Any

import orjson

from relay.errors import BadRequest
from relay.neutral.request import Json, Media, Part, Text, Thought, ToolCall, ToolResult

PDF = "application/pdf"


def refused(where: str, problem: str) -> BadRequest:
    return BadRequest(f"{where}: {problem}")


def parts(content: Any, where: str, names: dict[str, str]) -> list[Part]:
    """A text or a list of blocks. `names`: tool names by the ids of the calls seen so far; added to."""
    if isinstance(content, str):
        return [Text(content)] if content else []
    if not isinstance(content, list):
        raise refused(where, "Input should be a valid string or list")
    found: list[Part] = []
    for index, block in enumerate(content):
        place = f"{where}.{index}"
        if not isinstance(block, dict):
            raise refused(place, "Input should be an object")
        found += _parts_of(block, place, names)
    return found


def texts(content: Any, where: str) -> list[Text]:
    """A system prompt: a text, or a list of text blocks."""
    found = [] if content is None else parts(content, where, {})
    if not all(isinstance(part, Text) for part in found):
        raise refused(where, "Input should be text blocks")
    return [part for part in found if isinstance(part, Text)]


def _parts_of(block: Json, where: str, names: dict[str, str]) -> list[Part]:
    cache = _object(block, "cache_control", where)
    match block.get("type"):
        case "text":
            return [Text(_text(block, "text", where), cache)]
        case "image":
            return [_picture(block, where, cache)]
        case "document":
            return _document(block, where, cache)
        case "search_result":
            return [_search_result(block, where, cache)]
        case "thinking":
            return [Thought(_text(block, "thinking", where), signature=_optional(block, "signature"))]
        case "redacted_thinking":
            return [Thought(redacted=_text(block, "data", where))]
        case "tool_use":
            return [_call(block, where, names, cache)]
        case "tool_result":
            return [_result(block, where, names, cache)]
        case "tool_reference":  # a tool that was searched for: on this path all tools are there from the start
            return [Text(_text(block, "tool_name", where))]
    raise refused(where, f"blocks of type {str(block.get('type'))[:60]!r} are served by Anthropic's own channels only")


def _call(block: Json, where: str, names: dict[str, str], cache: Json | None) -> ToolCall:
    identity, name = _text(block, "id", where), _text(block, "name", where)
    names[identity] = name
    arguments = block.get("input")
    if not isinstance(arguments, dict):
        raise refused(f"{where}.input", "Input should be an object")
    return ToolCall(identity, name, orjson.dumps(arguments).decode(), cache=cache)


def _result(block: Json, where: str, names: dict[str, str], cache: Json | None) -> ToolResult:
    identity = _text(block, "tool_use_id", where)
    content = block.get("content")
    found = [] if content is None else parts(content, f"{where}.content", {})
    inside = [part for part in found if isinstance(part, Text | Media)]
    if len(inside) != len(found):
        raise refused(f"{where}.content", "a tool's result holds texts, pictures and documents only")
    return ToolResult(identity, names.get(identity, ""), inside, failed=block.get("is_error") is True, cache=cache)


def _picture(block: Json, where: str, cache: Json | None) -> Media:
    source = _source(block, where)
    match source.get("type"):
        case "base64":
            data, mime = _text(source, "data", where), _text(source, "media_type", where)
            return Media("image", data=data, mime=mime, cache=cache)
        case "url":
            return Media("image", url=_text(source, "url", where), cache=cache)
    raise refused(f"{where}.source", "files kept by Anthropic are served by its own channels only")


def _document(block: Json, where: str, cache: Json | None) -> list[Part]:
    """A PDF stays a file; a text with its title and context is said as text."""
    source = _source(block, where)
    title = _optional(block, "title")
    match source.get("type"):
        case "base64":
            data, mime = _text(source, "data", where), _text(source, "media_type", where)
            if mime.startswith("text/"):
                mime = "text/plain"
            return [Media("file", data=data, mime=mime, name=title, cache=cache)]
        case "url":
            return [Media("file", url=_text(source, "url", where), mime=PDF, name=title, cache=cache)]
        case "text":
            lines = [line for line in (title, _optional(block, "context"), _text(source, "data", where)) if line]
            return [Text("\n".join(lines), cache)]
        case "content":
            inside = parts(source.get("content"), f"{where}.source.content", {})
            return [Text(title), *inside] if title else inside
    raise refused(f"{where}.source", "files kept by Anthropic are served by its own channels only")


def _search_result(block: Json, where: str, cache: Json | None) -> Text:
    found = texts(block.get("content"), f"{where}.content")
    head = (_optional(block, "title"), _optional(block, "source"))
    return Text("\n".join(line for line in (*head, *(part.text for part in found)) if line), cache)


def _source(block: Json, where: str) -> Json:
    source = block.get("source")
    if not isinstance(source, dict):
        raise refused(f"{where}.source", "Field required")
    return source


def _text(block: Json, name: str, where: str) -> str:
    value = block.get(name)
    if not isinstance(value, str):
        raise refused(f"{where}.{name}", "Field required" if value is None else "Input should be a valid string")
    return value


def _optional(block: Json, name: str) -> str:
    value = block.get(name)
    return value if isinstance(value, str) else ""


def _object(block: Json, name: str, where: str) -> Json | None:
    value = block.get(name)
    if value is not None and not isinstance(value, dict):
        raise refused(f"{where}.{name}", "Input should be an object")
    return value
