"""Neutral turns as OpenAI's messages.

https://platform.openai.com/docs/api-reference/chat/create. Members beyond OpenAI's (`reasoning_content`,
`extra_content`) go to providers whose row says that they know them: others refuse a message that has them.
"""

from __future__ import annotations

import binascii
import hashlib
import re
from collections.abc import Callable
from typing import Any

from channels_app.providers import Provider
from relay.errors import BadRequest
from relay.neutral.request import Chat, Media, Part, Text, Thought, ToolCall, ToolResult, Turn

Json = dict[str, Any]

LONGEST_ID = 40  # characters of a call's id at OpenAI
SHORT_ID = re.compile(r"[a-zA-Z0-9]{9}")
AUDIO_FORMATS = {"audio/wav": "wav", "audio/x-wav": "wav", "audio/mpeg": "mp3", "audio/mp3": "mp3"}


def messages(provider: Provider, chat: Chat) -> list[Json]:
    """Raises BadRequest for media that OpenAI's messages have no place for."""
    written: list[Json] = []
    system = "\n".join(text.text for text in chat.system if text.text)
    if system:
        written.append({"role": "system", "content": system})
    for turn in chat.turns:
        written += _assistant(provider, turn) if turn.role == "assistant" else _user(provider, turn)
    return written


def _user(provider: Provider, turn: Turn) -> list[Json]:
    """Results first, each a message of its own: they have to follow the calls they answer."""
    written: list[Json] = []
    said: list[Part] = []
    for part in turn.parts:
        if not isinstance(part, ToolResult):
            said.append(part)
            continue
        text = "\n".join(piece.text for piece in part.parts if isinstance(piece, Text))
        written.append({"role": "tool", "tool_call_id": call_id(provider, part.call_id), "content": text})
        # A tool's message holds text alone; what a tool showed is shown by the user.
        said += [piece for piece in part.parts if isinstance(piece, Media)]
    if said or not written:
        message: Json = {"role": "user", "content": _content(said)}
        if turn.name and "messages.name" not in provider.refuses:
            message["name"] = turn.name
        written.append(message)
    return written


def _content(parts: list[Part]) -> str | list[Json]:
    """Text alone goes as a text, which every provider reads."""
    if not any(isinstance(part, Media) for part in parts):
        return "\n".join(part.text for part in parts if isinstance(part, Text))
    content: list[Json] = []
    for part in parts:
        if isinstance(part, Text):
            content.append({"type": "text", "text": part.text})
        elif isinstance(part, Media):
            content.append(_WRITERS[part.kind](part))
    return content


def data_url(media: Media, mime: str) -> str:
    return f"data:{media.mime or mime};base64,{media.data}"


def _image(media: Media) -> Json:
    if media.url.startswith("gs://"):
        raise BadRequest("this channel's upstream cannot read gs:// addresses")
    image: Json = {"url": media.url or data_url(media, "image/png")}
    if media.detail:
        image["detail"] = media.detail
    return {"type": "image_url", "image_url": image}


def _video(media: Media) -> Json:
    return {"type": "video_url", "video_url": {"url": media.url or data_url(media, "video/mp4")}}


def _audio(media: Media) -> Json:
    form = AUDIO_FORMATS.get(media.mime or "audio/wav")
    if form is None or not media.data:
        raise BadRequest("this channel's upstream takes sound as wav or mp3 data only")
    return {"type": "input_audio", "input_audio": {"data": media.data, "format": form}}


def _file(media: Media) -> Json:
    if not media.data:
        raise BadRequest("this channel's upstream takes files as data only")
    if media.mime.startswith("text/"):
        try:
            text = binascii.a2b_base64(media.data).decode()
        except (binascii.Error, UnicodeDecodeError) as error:
            raise BadRequest("a text file must be base64 of UTF-8") from error
        return {"type": "text", "text": text}
    name = media.name or "file.pdf"
    return {"type": "file", "file": {"filename": name, "file_data": data_url(media, "application/pdf")}}


_WRITERS: dict[str, Callable[[Media], Json]] = {"image": _image, "video": _video, "audio": _audio, "file": _file}


def _assistant(provider: Provider, turn: Turn) -> list[Json]:
    if any(isinstance(part, Media) for part in turn.parts):
        raise BadRequest("this channel's upstream cannot read media in the assistant's own turns")
    text = "".join(part.text for part in turn.parts if isinstance(part, Text))
    calls = [_call(provider, part) for part in turn.parts if isinstance(part, ToolCall)]
    message: Json = {"role": "assistant", "content": text or (None if calls else "")}
    if calls:
        message["tool_calls"] = calls
    thought = "".join(part.text for part in turn.parts if isinstance(part, Thought))
    if thought and "messages.reasoning_content" in provider.knows:
        message["reasoning_content"] = thought
    return [message]


def call_id(provider: Provider, name: str) -> str:
    """A call's id as the upstream takes it: ids of another one's calls, or of a caller's making, may be too long.

    The same for a call and for its result. Mistral's are nine letters or digits.
    """
    digest = hashlib.sha256(name.encode(errors="replace")).hexdigest()
    if "messages.call_ids" in provider.refuses:
        return name if SHORT_ID.fullmatch(name) else digest[:9]
    return name if len(name) <= LONGEST_ID else "call_" + digest[:32]


def _call(provider: Provider, call: ToolCall) -> Json:
    written: Json = {
        "id": call_id(provider, call.id),
        "type": "function",
        "function": {"name": call.name, "arguments": call.arguments or "{}"},
    }
    if call.signature and "messages.extra_content" in provider.knows:
        written["extra_content"] = {"google": {"thought_signature": call.signature}}
    return written
