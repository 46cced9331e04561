"""Gemini's `contents` as neutral turns.

https://ai.google.dev/api/caching#Content, /gemini-api/docs/function-calling. Models before Gemini 3 made calls without
ids, and clients send them back so: a result then belongs to the first call of its name that has none yet. Gemini CLI
gives its results ids all the same (`handlePendingFunctionCall` of its turn.ts).
"""

from __future__ import annotations

from typing import Any, Literal

import orjson

from relay.adapters.gemini.answer import code_text
from relay.dialects.gemini.members import inner, inners
from relay.dialects.members import Json, mapping, refused, text
from relay.neutral.request import Media, Part, Text, Thought, ToolCall, ToolResult, Turn

ROLES: dict[str, Literal["user", "assistant"]] = {
    "": "user",
    "user": "user",
    "function": "user",
    "tool": "user",
    "model": "assistant",
}
KINDS: dict[str, Literal["image", "audio", "video", "file"]] = {"image": "image", "audio": "audio", "video": "video"}
SCHEMES = ("http://", "https://", "gs://")
OUTPUTS = ("result", "output")  # members that clients wrap the text of a result in


class Conversation:
    """Reads contents in order and keeps the calls that wait for a result."""

    def __init__(self) -> None:
        self.turns: list[Turn] = []
        self._waiting: list[tuple[ToolCall, str]] = []  # with the ids they came with
        self._calls = 0

    def read(self, contents: list[Json]) -> list[Turn]:
        """Raises BadRequest."""
        for content in contents:
            role = ROLES.get(text(content, "role"))
            if role is None:
                raise refused("contents: a role must be user or model")
            turn = Turn(role, [])
            for part in inners(content, "parts"):
                self._add(turn, part)
            if turn.parts:
                self.turns.append(turn)
        return self.turns

    def _add(self, turn: Turn, part: Json) -> None:
        if "functionCall" in part:
            if turn.role != "assistant":
                raise refused("contents: a functionCall is the model's to make")
            turn.parts.append(self._call(inner(part, "functionCall"), text(part, "thoughtSignature")))
        elif "functionResponse" in part:
            if turn.role == "assistant":
                raise refused("contents: a functionResponse is the user's to give")
            turn.parts.append(self._result(inner(part, "functionResponse")))
        elif part.get("thought") is True:
            _add_thought(turn.parts, part)
        elif made := _plain(part):
            turn.parts.append(made)

    def _call(self, call: Json, signature: str) -> ToolCall:
        name = text(call, "name")
        if not name:
            raise refused("contents: a functionCall without a name")
        self._calls += 1
        arguments = orjson.dumps(mapping(call, "args") or {}).decode()
        given = text(call, "id")
        made = ToolCall(given or f"call_{self._calls}", name, arguments, signature)
        self._waiting.append((made, given))
        return made

    def _result(self, result: Json) -> ToolResult:
        name, given = text(result, "name"), text(result, "id")
        answered = self._answered(name, given)
        said, failed = _response(mapping(result, "response") or {})
        parts: list[Text | Media] = [Text(said)]
        parts += [media for part in inners(result, "parts") if (media := _media(part))]
        call_id = answered.id if answered is not None else given or f"call_{name}"
        return ToolResult(call_id, name or (answered.name if answered is not None else ""), parts, failed)

    def _answered(self, name: str, given: str) -> ToolCall | None:
        """The call of a result with this id or, where one of the two has none, of this name."""
        named = [waiting for waiting in self._waiting if given and waiting[1] == given]
        alike = [waiting for waiting in self._waiting if waiting[0].name == name and not (given and waiting[1])]
        found = next(iter(named + alike), None)
        if found is None:
            return None
        self._waiting.remove(found)
        return found[0]


def _add_thought(parts: list[Part], part: Json) -> None:
    """A thought's signature may stand in a part of its own, after the pieces it signs."""
    words, signature = text(part, "text"), text(part, "thoughtSignature")
    last = parts[-1] if parts else None
    if isinstance(last, Thought) and not last.signature:
        parts[-1] = Thought(last.text + words, signature)
    elif words or signature:
        parts.append(Thought(words, signature))


def _plain(part: Json) -> Text | Media | None:
    if part.get("text") is not None:
        words, signature = text(part, "text"), text(part, "thoughtSignature")
        return Text(words, signature=signature) if words or signature else None
    if media := _media(part):
        return media
    if "executableCode" in part or "codeExecutionResult" in part:
        return Text(code_text(part)) if code_text(part) else None
    unknown = sorted(set(part) - {"thoughtSignature", "thought", "text", "videoMetadata", "mediaResolution"})
    if unknown:
        raise refused(f"contents: this channel's upstream has no parts with {unknown[0]}"[:200])
    return None


def _media(part: Json) -> Media | None:
    if part.get("inlineData") is not None:
        blob = inner(part, "inlineData")
        mime, data = text(blob, "mimeType").lower(), text(blob, "data")
        if not data or not mime:
            raise refused("contents: inlineData must have a mimeType and data")
        # Both alphabets of base64 are accepted by Google; others take the plain one, with its padding.
        data = data.replace("-", "+").replace("_", "/")
        return Media(_kind(mime), data=data + "=" * (-len(data) % 4), mime=mime, name=text(blob, "displayName"))
    if part.get("fileData") is not None:
        file = inner(part, "fileData")
        mime, uri = text(file, "mimeType").lower(), text(file, "fileUri")
        if not uri.startswith(SCHEMES):
            raise refused("contents: a fileUri must be an http(s) or gs address")
        return Media(_kind(mime), url=uri, mime=mime)
    return None


def _kind(mime: str) -> Any:
    return KINDS.get(mime.partition("/")[0], "file")


def _response(response: Json) -> tuple[str, bool]:
    """(text, whether the call failed). Gemini's results are objects; other protocols have texts."""
    if len(response) == 1:
        name, value = next(iter(response.items()))
        if isinstance(value, str) and name in OUTPUTS:
            return value, False
        if name == "error":
            return value if isinstance(value, str) else orjson.dumps(value).decode(), True
    return orjson.dumps(response).decode(), False


def system(document: Json) -> list[Text]:
    """`systemInstruction`: a content, of which texts alone are read, or a plain text. Raises BadRequest."""
    given = document.get("systemInstruction")
    if isinstance(given, str):
        return [Text(given)] if given else []
    instruction = inner(document, "systemInstruction")
    texts = []
    for part in inners(instruction, "parts"):
        if "text" not in part:
            raise refused("systemInstruction can only hold text")
        if words := text(part, "text"):
            texts.append(Text(words))
    return texts
