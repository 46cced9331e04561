"""The input items of a Responses request as neutral turns.

https://platform.openai.com/docs/api-reference/responses/create (`input`). What has been said before comes as items:
messages, calls, their outputs, and reasoning. Thoughts other vendors signed travel in `encrypted_content`, in our form.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import orjson

from relay.dialects.members import items, mapping, refused, text
from relay.dialects.openai.messages import AUDIO_TYPES, SCHEMES, located
from relay.neutral.request import Json, Media, Part, Text, Thought, ToolCall, ToolResult, Turn

SIGNED, REDACTED = "signed:", "redacted:"  # what our encrypted_content begins with; anybody else's is left unread


@dataclass(frozen=True, slots=True)
class Declared:
    """A tool as its caller declared it; upstreams know it under one flat name."""

    name: str
    namespace: str = ""
    custom: bool = False  # its input is plain text, not JSON

    @property
    def flat(self) -> str:
        return flat(self.namespace, self.name)


def flat(namespace: str, name: str) -> str:
    return f"{namespace}__{name}" if namespace else name


@dataclass(slots=True)
class Conversation:
    system: list[Text] = field(default_factory=list)
    turns: list[Turn] = field(default_factory=list)
    names: dict[str, str] = field(default_factory=dict)  # call id -> flat name

    def add(self, role: Any, parts: list[Part], *, joins: bool) -> None:
        """`joins`: part of the same turn as what the same side said just before."""
        last = self.turns[-1] if self.turns else None
        if joins and last is not None and last.role == role:
            last.parts += parts
        else:
            self.turns.append(Turn(role, parts))


def read_input(given: Any) -> Conversation:
    """Raises BadRequest for items that stand for something kept at OpenAI, or done by OpenAI's own tools."""
    conversation = Conversation()
    if isinstance(given, str):
        given = [{"role": "user", "content": given}]
    for item in items({"input": given}, "input"):
        kind = item.get("type", "message")
        reader = _READERS.get(kind) if isinstance(kind, str) else None
        if reader is None:
            raise refused(f"input: this channel's upstream cannot take items of type {kind!r}"[:200])
        reader(conversation, item)
    return conversation


def _message(conversation: Conversation, item: Json) -> None:
    role = item.get("role")
    parts: list[Part] = [*content(item.get("content"))]
    match role:
        case "system" | "developer":
            for part in parts:
                if not isinstance(part, Text):
                    raise refused("input: a system message can only hold text")
                conversation.system.append(part)
        case "assistant":
            conversation.add("assistant", parts, joins=True)
        case "user":
            conversation.add("user", parts, joins=False)
        case _:
            raise refused(f"input: unknown role {role!r}"[:200])


def _call(conversation: Conversation, item: Json) -> None:
    name = flat(text(item, "namespace"), text(item, "name"))
    if not name:
        raise refused("input: a function_call without a name")
    call_id = text(item, "call_id")
    conversation.names[call_id] = name
    extra = mapping(mapping(item, "extra_content") or {}, "google") or {}
    call = ToolCall(call_id, name, text(item, "arguments"), text(extra, "thought_signature"))
    conversation.add("assistant", [call], joins=True)


def _custom_call(conversation: Conversation, item: Json) -> None:
    _call(conversation, {**item, "arguments": orjson.dumps({"input": text(item, "input")}).decode()})


def _output(conversation: Conversation, item: Json) -> None:
    call_id = text(item, "call_id")
    result = ToolResult(call_id, conversation.names.get(call_id, ""), content(item.get("output")))
    last = conversation.turns[-1] if conversation.turns else None
    after_results = last is not None and all(isinstance(part, ToolResult) for part in last.parts)
    conversation.add("user", [result], joins=after_results)


def _reasoning(conversation: Conversation, item: Json) -> None:
    """Thoughts in OpenAI's own encryption are for OpenAI alone: of those, the summary is kept."""
    said = [text(part, "text") for part in items(item, "summary") or items(item, "content")]
    thought = Thought("\n\n".join(said))
    sealed = text(item, "encrypted_content")
    if sealed.startswith(SIGNED):
        thought.signature = sealed.removeprefix(SIGNED)
    elif sealed.startswith(REDACTED):
        thought = Thought(redacted=sealed.removeprefix(REDACTED))
    if thought != Thought():
        conversation.add("assistant", [thought], joins=True)


_READERS = {
    "message": _message,
    "function_call": _call,
    "function_call_output": _output,
    "custom_tool_call": _custom_call,
    "custom_tool_call_output": _output,
    "reasoning": _reasoning,
}


def content(value: Any) -> list[Text | Media]:
    """A message's content or a tool's output: text or parts. Empty texts are left out."""
    if value is None:
        return []
    if isinstance(value, str):
        return [Text(value)] if value else []
    return [part for entry in items({"content": value}, "content") if (part := _part(entry)) is not None]


def _part(entry: Json) -> Text | Media | None:
    kind = entry.get("type")
    match kind:
        case "input_text" | "output_text" | "text":
            said = text(entry, "text")
        case "refusal":
            said = text(entry, "refusal")
        case "input_image":
            media = located("image", _address(entry, "image_url"))
            media.detail = text(entry, "detail")
            return media
        case "input_file":
            return _file(entry)
        case "input_audio":
            sound = mapping(entry, "input_audio") or {}
            form = text(sound, "format") or "wav"
            return Media("audio", data=text(sound, "data"), mime=AUDIO_TYPES.get(form, f"audio/{form}"))
        case _:
            raise refused(f"input: unknown type of part {kind!r}"[:200])
    return Text(said) if said else None


def _address(entry: Json, name: str) -> str:
    address = text(entry, name)
    if not address:
        raise refused(f"input: {entry.get('type')} must hold {name}: uploaded files belong to one provider")
    return address


def _file(entry: Json) -> Media:
    if entry.get("file_url"):
        media = located("file", text(entry, "file_url"))
    else:
        data = _address(entry, "file_data")
        whole = data.startswith(("data:", *SCHEMES))
        media = located("file", data) if whole else Media("file", data=data, mime="application/pdf")
    media.name = text(entry, "filename")
    return media
