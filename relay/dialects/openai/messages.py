"""The messages of an OpenAI chat request as neutral turns (relay contract of the providers, 1.3).

https://platform.openai.com/docs/api-reference/chat/create. What clients send beside the documented members:
`reasoning_content` (DeepSeek, Kimi), `thinking_blocks` (signed thoughts of Anthropic's models), `cache_control`, and
`extra_content.google.thought_signature` (Gemini).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from relay.dialects.members import items, mapping, refused, text
from relay.neutral import data_url
from relay.neutral.request import Json, Media, Part, Text, Thought, ToolCall, ToolResult, Turn

SCHEMES = ("http://", "https://", "gs://")
AUDIO_TYPES = {"wav": "audio/wav", "mp3": "audio/mpeg"}


@dataclass(slots=True)
class Conversation:
    system: list[Text] = field(default_factory=list)
    turns: list[Turn] = field(default_factory=list)
    names: dict[str, str] = field(default_factory=dict)  # call id -> name of the tool
    legacy: list[str] = field(default_factory=list)  # ids given to calls of the older `function_call`


def read_messages(messages: list[Json]) -> Conversation:
    """System and developer messages are gathered wherever they stand. Raises BadRequest."""
    conversation = Conversation()
    for message in messages:
        role = message.get("role")
        reader = _ROLES.get(role) if isinstance(role, str) else None
        if reader is None:
            raise refused(f"messages: unknown role {role!r}"[:200])
        reader(conversation, message)
    return conversation


def _system(conversation: Conversation, message: Json) -> None:
    for part in content(message):
        if not isinstance(part, Text):
            raise refused("messages: a system message can only hold text")
        conversation.system.append(part)


def _user(conversation: Conversation, message: Json) -> None:
    parts: list[Part] = [*content(message)]
    conversation.turns.append(Turn("user", parts, text(message, "name")))


def _assistant(conversation: Conversation, message: Json) -> None:
    parts: list[Part] = _thoughts(message)
    said = content(message)
    if said and isinstance(said[-1], Text):
        said[-1].signature = said[-1].signature or _signature(message)
    parts += said
    if message.get("refusal") and not said:
        parts.append(Text(text(message, "refusal")))
    for call in items(message, "tool_calls"):
        parts.append(_call(call, text(call, "id")))
    function = mapping(message, "function_call")
    if function:
        call_id = f"call_legacy_{len(conversation.legacy)}"
        conversation.legacy.append(call_id)
        parts.append(ToolCall(call_id, text(function, "name"), text(function, "arguments")))
    conversation.names |= {part.id: part.name for part in parts if isinstance(part, ToolCall)}
    conversation.turns.append(Turn("assistant", parts, text(message, "name")))


def _thoughts(message: Json) -> list[Part]:
    blocks: list[Part] = []
    for block in items(message, "thinking_blocks"):
        if block.get("type") == "redacted_thinking":
            blocks.append(Thought(redacted=text(block, "data")))
        else:
            blocks.append(Thought(text(block, "thinking"), text(block, "signature")))
    if blocks:
        return blocks
    thought = text(message, "reasoning_content") or text(message, "reasoning")
    return [Thought(thought)] if thought else []


def _call(call: Json, call_id: str) -> ToolCall:
    if call.get("type", "function") not in ("function", None):
        raise refused("messages: only tool calls of type function can be passed on to this model's channel")
    function = mapping(call, "function") or {}
    name = text(function, "name")
    if not name:
        raise refused("messages: a tool call without a function name")
    return ToolCall(call_id, name, text(function, "arguments"), _signature(call), mapping(call, "cache_control"))


def _signature(holder: Json) -> str:
    extra = holder.get("extra_content")
    google = extra.get("google") if isinstance(extra, dict) else None
    signature = google.get("thought_signature") if isinstance(google, dict) else None
    return signature if isinstance(signature, str) else ""


def _tool(conversation: Conversation, message: Json) -> None:
    call_id = text(message, "tool_call_id")
    name = conversation.names.get(call_id) or text(message, "name")
    cache = mapping(message, "cache_control")
    _answered(conversation, ToolResult(call_id, name, content(message), cache=cache))


def _answered(conversation: Conversation, result: ToolResult) -> None:
    """Results of one turn's calls are one turn: what they show must not come between them."""
    last = conversation.turns[-1] if conversation.turns else None
    if last is not None and last.parts and all(isinstance(part, ToolResult) for part in last.parts):
        last.parts.append(result)
    else:
        conversation.turns.append(Turn("user", [result]))


def _function(conversation: Conversation, message: Json) -> None:
    """The older form names no call: it answers the latest call of its name."""
    name = text(message, "name")
    called = [call_id for call_id in conversation.legacy if conversation.names.get(call_id) == name]
    call_id = called[-1] if called else "call_legacy"
    _answered(conversation, ToolResult(call_id, name, content(message)))


_ROLES = {
    "system": _system,
    "developer": _system,
    "user": _user,
    "assistant": _assistant,
    "tool": _tool,
    "function": _function,
}


def content(message: Json) -> list[Text | Media]:
    """A message's content: text, a list of parts, or none at all. Empty texts are left out."""
    value = message.get("content")
    if value is None:
        return []
    if isinstance(value, str):
        return [Text(value, mapping(message, "cache_control"))] if value else []
    if not isinstance(value, list):
        raise refused("messages: content must be a string or a list of parts")
    return [part for entry in value if (part := _part(entry)) is not None]


def _part(entry: Any) -> Text | Media | None:
    if isinstance(entry, str):
        return Text(entry) if entry else None
    if not isinstance(entry, dict):
        raise refused("messages: a part of a content must be an object")
    kind = entry.get("type")
    cache = mapping(entry, "cache_control")
    if kind in ("text", "input_text", "output_text"):
        said = text(entry, "text")
        return Text(said, cache, _signature(entry)) if said else None
    if kind == "refusal":
        said = text(entry, "refusal")
        return Text(said) if said else None
    reader = _MEDIA.get(kind) if isinstance(kind, str) else None
    if reader is None:
        raise refused(f"messages: unknown type of part {kind!r}"[:200])
    media = reader(entry)
    media.cache = cache
    return media


def _image(entry: Json) -> Media:
    value = entry.get("image_url")
    if isinstance(value, str):
        value = {"url": value}
    if not isinstance(value, dict):
        raise refused("messages: image_url must be an object with a url")
    media = located("image", text(value, "url"))
    media.detail = text(value, "detail")
    return media


def _video(entry: Json) -> Media:
    value = entry.get("video_url")
    return located("video", text(value, "url") if isinstance(value, dict) else text(entry, "video_url"))


def _audio(entry: Json) -> Media:
    value = mapping(entry, "input_audio") or {}
    data, form = text(value, "data"), text(value, "format")
    if not data:
        raise refused("messages: input_audio must hold data")
    if data.startswith("data:"):
        return located("audio", data)
    return Media("audio", data=data, mime=AUDIO_TYPES.get(form, f"audio/{form}" if form else "audio/wav"))


def _file(entry: Json) -> Media:
    value = mapping(entry, "file") or {}
    data, name = text(value, "file_data"), text(value, "filename")
    if not data:
        raise refused("messages: a file must be given as file_data: ids of uploaded files belong to one provider")
    if data.startswith(("data:", *SCHEMES)):
        media = located("file", data)
        media.name = name
        return media
    return Media("file", data=data, mime="application/pdf", name=name)


_MEDIA = {"image_url": _image, "video_url": _video, "input_audio": _audio, "file": _file}


def located(kind: Any, url: str) -> Media:
    """Media behind an address, or inside a data URL. Raises BadRequest for any other address."""
    found = data_url.split(url)
    if found:
        mime, data = found
        if not data:
            raise refused("messages: a data URL without data")
        return Media(kind, data=data, mime=mime)
    if not url.startswith(SCHEMES):
        raise refused(f"messages: {kind} must have an http(s) address or a base64 data URL")
    return Media(kind, url=url)
