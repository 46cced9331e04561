"""Parts of a conversation as content blocks of Bedrock's Converse API.

https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ContentBlock.html; relay contract of providers, 3.5.
"""

from __future__ import annotations

import hashlib
import re

from relay.adapters.shape import Json
from relay.adapters.usual import bytes_of
from relay.errors import BadRequest
from relay.neutral.request import Media, Part, Text, Thought, ToolCall, ToolResult, load_arguments

MEMBERS = {"image": "image", "file": "document", "video": "video", "audio": "audio"}
# What Converse calls a media type, by the member it goes to.
FORMATS = {
    "image": {"image/png": "png", "image/jpeg": "jpeg", "image/jpg": "jpeg", "image/gif": "gif", "image/webp": "webp"},
    "document": {
        "application/pdf": "pdf",
        "text/csv": "csv",
        "application/msword": "doc",
        "application/vnd.openxmlformats-officedocument.wordprocessingml.document": "docx",
        "application/vnd.ms-excel": "xls",
        "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": "xlsx",
        "text/html": "html",
        "text/plain": "txt",
        "text/markdown": "md",
    },
    "video": {
        "video/mp4": "mp4",
        "video/quicktime": "mov",
        "video/x-matroska": "mkv",
        "video/webm": "webm",
        "video/x-flv": "flv",
        "video/mpeg": "mpeg",
        "video/x-ms-wmv": "wmv",
        "video/3gpp": "three_gp",
    },
    "audio": {
        "audio/mpeg": "mp3",
        "audio/mp3": "mp3",
        "audio/wav": "wav",
        "audio/x-wav": "wav",
        "audio/ogg": "ogg",
        "audio/opus": "opus",
        "audio/flac": "flac",
        "audio/aac": "aac",
        "audio/mp4": "m4a",
        "audio/webm": "webm",
    },
}
_ID = re.compile(r"[a-zA-Z0-9_.:-]{1,64}")
_NOT_IN_NAMES = re.compile(r"[^a-zA-Z0-9\-()\[\]]+")


class Blocks:
    """Makes the blocks of one request. `caches`, `signed`: the model takes cache points, and thoughts back."""

    def __init__(self, caches: bool, signed: bool) -> None:
        self._caches, self._signed = caches, signed
        self._documents: set[str] = set()  # names used; they may not repeat within a request

    def takes(self, part: Part) -> bool:
        """Empty texts are refused upstream; so is reasoning that is not signed, or not the model's own."""
        if isinstance(part, Text):
            return bool(part.text.strip())
        return not isinstance(part, Thought) or (self._signed and bool(part.redacted or part.signature))

    def of(self, parts: list[Part]) -> list[Json]:
        """Of parts it takes; results of tools lead."""
        blocks: list[Json] = []
        for part in sorted(parts, key=lambda part: not isinstance(part, ToolResult)):
            blocks.append(self._block(part))
            if not isinstance(part, Thought):
                blocks += self.cache_point(part.cache)
        return blocks

    def cache_point(self, cache: Json | None) -> list[Json]:
        if not cache or not self._caches:
            return []
        point: Json = {"type": "default"}
        return [{"cachePoint": point | ({"ttl": cache["ttl"]} if cache.get("ttl") in ("5m", "1h") else {})}]

    def _block(self, part: Part) -> Json:
        match part:
            case Text():
                return {"text": part.text}
            case Media():
                return self._media(part)
            case Thought():
                text = {"reasoningText": {"text": part.text, "signature": part.signature}}
                return {"reasoningContent": {"redactedContent": part.redacted} if part.redacted else text}
            case ToolCall():
                call = {"toolUseId": call_id(part.id), "name": part.name, "input": load_arguments(part.arguments)}
                return {"toolUse": call}
            case ToolResult():
                content = [self._block(each) for each in part.parts if self.takes(each)]
                result: Json = {"toolUseId": call_id(part.call_id), "content": content}
                return {"toolResult": result | ({"status": "error"} if part.failed else {})}

    def _media(self, media: Media) -> Json:
        member = MEMBERS[media.kind]
        mime = media.mime.partition(";")[0].strip().lower()
        form = FORMATS[member].get(mime, "")
        if not form and member == "document":
            suffix = media.name.rpartition(".")[2].lower()
            form = suffix if suffix in FORMATS[member].values() else "txt" if mime.startswith("text/") else ""
        if not form:
            raise BadRequest(f"Bedrock takes no {media.kind} of the type {mime or 'that has no name'}")
        block: Json = {"format": form, "source": {"bytes": bytes_of(media)}}
        return {member: block | ({"name": self._document_name(media.name)} if member == "document" else {})}

    def _document_name(self, name: str) -> str:
        stem = name.rpartition(".")[0] or name
        plain = _NOT_IN_NAMES.sub(" ", stem).strip()[:150].strip() or "document"
        unique, count = plain, 1
        while unique in self._documents:
            count += 1
            unique = f"{plain} {count}"
        self._documents.add(unique)
        return unique


def call_id(name: str) -> str:
    """A call's id as Bedrock takes it; the same for a call and for its result, and different for different ones."""
    return name if _ID.fullmatch(name) else "call_" + hashlib.sha256(name.encode()).hexdigest()[:32]
