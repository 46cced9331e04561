"""Turns of a conversation as Gemini's `contents`.

https://ai.google.dev/api/caching#Content, /gemini-api/docs/function-calling, /gemini-api/docs/thought-signatures.
"""

from __future__ import annotations

import orjson

from relay.adapters.gemini.models import Traits
from relay.adapters.usual import mime_of
from relay.errors import BadRequest
from relay.neutral.request import (
    Json,
    Media,
    Part,
    Text,
    ToolCall,
    ToolResult,
    Turn,
    joined,
    load_arguments,
    plain_text,
)

ROLES = {"user": "user", "assistant": "model"}
# Stands for a signature on calls that no Gemini model made (thought signatures, "FAQs").
FOREIGN = "skip_thought_signature_validator"
TYPES = {"image": "image/jpeg", "audio": "audio/wav", "video": "video/mp4", "file": "application/pdf"}
# Addresses that Gemini itself opens: its own files, Cloud Storage, and videos.
OPENED = (
    "gs://",
    "https://generativelanguage.googleapis.com/",
    "https://www.youtube.com/",
    "https://youtube.com/",
    "https://youtu.be/",
)


def opens(url: str) -> bool:
    return url.startswith(OPENED)


def contents(turns: list[Turn], having: Traits) -> list[Json]:
    """One content a turn, neighbours of one role joined; what has nothing to say is left out. Raises BadRequest."""
    made = []
    for turn in joined(turns):
        parts = sorted(turn.parts, key=lambda part: not isinstance(part, ToolResult))  # results answer what is above
        written = [entry for part in parts for entry in _part(part, having)]
        if turn.role == "assistant" and having.signed:
            _sign(written)
        if written:
            made.append({"role": ROLES[turn.role], "parts": written})
    return made


def _part(part: Part, having: Traits) -> list[Json]:
    """Reasoning of earlier turns is not sent: what Gemini wants back of it are the signatures of texts and calls."""
    match part:
        case Text():
            return text_part(part)
        case Media():
            return [_media(part)]
        case ToolCall():
            return [_call(part, having)]
        case ToolResult():
            return _result(part, having)
    return []


def text_part(part: Text) -> list[Json]:
    """Empty texts are refused upstream, but for those that carry a signature."""
    if part.signature:
        return [{"text": part.text, "thoughtSignature": part.signature}]
    return [{"text": part.text}] if part.text else []


def _call(call: ToolCall, having: Traits) -> Json:
    function: Json = {"name": call.name, "args": load_arguments(call.arguments)}
    if having.signed and call.id:
        function["id"] = call.id
    part: Json = {"functionCall": function}
    return {**part, "thoughtSignature": call.signature} if call.signature else part


def _sign(parts: list[Json]) -> None:
    """The first of several calls carries the signature of all; a history from elsewhere has none."""
    first = next((part for part in parts if "functionCall" in part), None)
    if first is not None:
        first.setdefault("thoughtSignature", FOREIGN)


def _result(result: ToolResult, having: Traits) -> list[Json]:
    if not result.name:
        raise BadRequest("a tool's result answers no call of this conversation: Gemini's protocol needs its name")
    said = plain_text(result.parts)
    function: Json = {"name": result.name, "response": {"error": said} if result.failed else _response(said)}
    if having.signed and result.call_id:
        function["id"] = result.call_id
    return [{"functionResponse": function}, *(_media(part) for part in result.parts if isinstance(part, Media))]


def _response(said: str) -> Json:
    try:
        value = orjson.loads(said)
    except orjson.JSONDecodeError:
        value = None
    return value if isinstance(value, dict) else {"result": said}


def _media(media: Media) -> Json:
    mime = mime_of(media)
    if media.url:
        if not opens(media.url):
            raise BadRequest(f"Gemini's protocol takes no {media.kind} at this address")
        place = {"fileUri": media.url}
        return {"fileData": {"mimeType": mime, **place} if mime else place}
    if not media.data:
        raise BadRequest(f"the {media.kind} is empty")
    return {"inlineData": {"mimeType": mime or TYPES[media.kind], "data": media.data}}
