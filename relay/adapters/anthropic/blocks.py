"""Parts of a conversation as Anthropic's content blocks.

https://platform.claude.com/docs/en/api/messages, /build-with-claude/vision, /build-with-claude/pdf-support.
"""

from __future__ import annotations

import base64
import binascii
import re

from relay.adapters.usual import mime_of
from relay.errors import BadRequest
from relay.neutral.request import Json, Media, Part, Text, Thought, ToolCall, ToolResult, load_arguments

PICTURES = frozenset({"image/jpeg", "image/png", "image/gif", "image/webp"})
PDF = "application/pdf"
_NO_ID = re.compile(r"[^a-zA-Z0-9_-]")


def user_block(part: Part) -> Json:
    """A block of a user's message. Raises BadRequest for media that Claude cannot read."""
    match part:
        case Text():
            return _cached({"type": "text", "text": part.text}, part.cache)
        case Media():
            return _cached(_media(part), part.cache)
        case ToolResult():
            return _cached(_result(part), part.cache)
        case _:
            return assistant_block(part)


def assistant_block(part: Part, signs: bool = True) -> Json:
    """A block of an assistant's message; {} for reasoning without the signature that a model asks for (`signs`)."""
    match part:
        case Text():
            return _cached({"type": "text", "text": part.text}, part.cache)
        case Thought(redacted=redacted) if redacted:
            return {"type": "redacted_thinking", "data": redacted}
        case Thought(signature=signature) if signature or (part.text and not signs):
            return {"type": "thinking", "thinking": part.text, "signature": signature}
        case ToolCall():
            called = {"type": "tool_use", "id": call_id(part.id), "name": part.name}
            return _cached({**called, "input": load_arguments(part.arguments)}, part.cache)
        case Media():
            raise BadRequest("Anthropic's protocol takes no pictures or files in an assistant's message")
    return {}


def call_id(name: str) -> str:
    """A call's id in the letters that are accepted upstream; the same for a call and for its result."""
    return _NO_ID.sub("_", name) or "call"


def _cached(block: Json, cache: Json | None) -> Json:
    return {**block, "cache_control": cache} if cache else block


def _result(result: ToolResult) -> Json:
    block: Json = {"type": "tool_result", "tool_use_id": call_id(result.call_id)}
    parts = [part for part in result.parts if not (isinstance(part, Text) and not part.text.strip())]
    if len(parts) == 1 and isinstance(parts[0], Text) and not parts[0].cache:
        block["content"] = parts[0].text
    elif parts:
        block["content"] = [user_block(part) for part in parts]
    if result.failed:
        block["is_error"] = True
    return block


def _media(media: Media) -> Json:
    mime = mime_of(media)
    if media.url and not media.url.startswith("https://"):
        raise BadRequest("Anthropic's protocol takes https addresses only")
    if media.kind == "image":
        if media.url:
            return {"type": "image", "source": {"type": "url", "url": media.url}}
        if mime not in PICTURES:
            raise BadRequest(f"pictures must be JPEG, PNG, GIF or WebP, not {mime or 'of no named type'}")
        return {"type": "image", "source": {"type": "base64", "media_type": mime, "data": media.data}}
    if media.kind == "file":
        block: Json = {"type": "document", "source": _document(media, mime)}
        return {**block, "title": media.name} if media.name else block
    raise BadRequest(f"Anthropic's protocol takes no {media.kind}")


def _document(media: Media, mime: str) -> Json:
    if media.url:
        return {"type": "url", "url": media.url}
    if mime == PDF or (not mime and media.data.startswith("JVBERi")):  # "%PDF" in base64
        return {"type": "base64", "media_type": PDF, "data": media.data}
    if mime.startswith("text/") or mime in ("application/json", "application/xml"):
        try:
            text = base64.b64decode(media.data, validate=True).decode()
        except (binascii.Error, UnicodeDecodeError) as error:
            raise BadRequest("a text file must be base64 of UTF-8") from error
        return {"type": "text", "media_type": "text/plain", "data": text}
    raise BadRequest(f"files must be PDF or text, not {mime or 'of no named type'}")
