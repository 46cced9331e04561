"""Coze: one turn of a conversation with a bot, API version 3.

https://www.coze.com/open/docs/developer_guides/chat_v3, .../chat_v3#streaming-response; relay contract of providers,
3.14. A model is a bot's id, perhaps with "bot-" before it. Version 3 answers a plain request before it has generated
anything, so it is always asked for a stream, and the events of a whole answer are read from it.
"""

from __future__ import annotations

import orjson

from billing.pricing import Usage
from relay.adapters.base import Adapter, Job, Outgoing, Outside, Reader
from relay.adapters.named_events import NamedEventsReader
from relay.adapters.shape import Json, chunk, clamped, mapping, number, text
from relay.adapters.stream_or_document import StreamOrDocument
from relay.adapters.told_form import with_form_told
from relay.adapters.usual import chat_of, posted, reported, stops_of
from relay.errors import BadRequest, UpstreamError
from relay.neutral.events import Counted, Event, Failed, Finished, FinishReason, Started, TextPiece, ThoughtPiece
from relay.neutral.request import Chat, Media, Text, ToolCall, ToolResult, Turn, plain_text

NAME = "Coze"
PASSED = ("custom_variables", "meta_data", "parameters", "shortcut_command")
OBJECTS = {"image": "image", "file": "file", "audio": "audio"}
STATUS = {4000: 400, 4001: 400, 4013: 429, 4015: 403, 4100: 401, 4101: 403, 4200: 404, 4028: 402, 700012006: 401}


class Coze(Adapter):
    def takes_url(self, url: str) -> bool:
        return url.startswith(("https://", "http://"))

    async def prepare(self, job: Job, outside: Outside) -> Outgoing:
        chat = chat_of(job.request, NAME)
        if chat.tools:
            raise BadRequest(f"{NAME}'s bots bring their own tools and take no others")
        stops_of(chat, 0, NAME)
        body: Json = {
            "bot_id": job.model.removeprefix("bot-"),
            "user_id": job.route.config.get("user_id") or chat.user or "user",
            "additional_messages": _messages(with_form_told(chat)),
            "stream": True,
            "auto_save_history": False,
        }
        body |= {name: chat.extra[name] for name in PASSED if chat.extra.get(name) is not None}
        return posted(job, "/v3/chat", body, stream=True)

    def read(self, job: Job, body: bytes) -> list[Event]:
        reader = CozeReader()
        events = reader.feed(body) + reader.close()
        failed = next((event for event in events if isinstance(event, Failed)), None)
        if failed is not None:
            raise failed.error
        return events

    def reader(self, job: Job) -> Reader:
        return CozeReader()


def _messages(chat: Chat) -> list[Json]:
    """Coze has no system's role: its text goes before the first words of the user."""
    system = "\n\n".join(part.text for part in chat.system if part.text)
    messages: list[Json] = []
    for turn in chat.turns:
        before = ""
        if system and turn.role == "user":
            before, system = system + "\n\n", ""
        if message := _message(turn, before):
            messages.append(message)
    if system:
        messages.insert(0, {"role": "user", "content": system, "content_type": "text", "type": "question"})
    if not messages:
        raise BadRequest("messages hold no text")
    return messages


def _message(turn: Turn, before: str) -> Json:
    if any(isinstance(part, ToolCall | ToolResult) for part in turn.parts):
        raise BadRequest(f"{NAME}'s bots take no calls of tools from outside")
    message: Json = {"role": turn.role, "type": "question" if turn.role == "user" else "answer"}
    if not any(isinstance(part, Media) for part in turn.parts):
        said = before + plain_text(turn.parts)
        return message | {"content": said, "content_type": "text"} if said else {}
    objects: list[Json] = [{"type": "text", "text": before}] if before else []
    for part in turn.parts:
        if isinstance(part, Text):
            objects.append({"type": "text", "text": part.text})
        elif isinstance(part, Media):
            if part.kind not in OBJECTS or not part.url:
                raise BadRequest(f"{NAME} takes images, files and sounds by their addresses only")
            objects.append({"type": OBJECTS[part.kind], "file_url": part.url})
    return message | {"content": orjson.dumps(objects).decode(), "content_type": "object_string"}


class CozeReader(StreamOrDocument, NamedEventsReader):
    """`done` ends a stream; what a message says comes in deltas, and then once more whole."""

    def __init__(self) -> None:
        super().__init__()
        self._begun_messages: set[str] = set()  # those of which deltas came

    def named(self, name: str, data: bytes) -> list[Event]:
        event = chunk(data)
        match name:
            case "conversation.chat.created":
                return [Started(text(event.get("id")))]
            case "conversation.message.delta" | "conversation.message.completed" if event.get("type") == "answer":
                return self._message(event, name.endswith("delta"))
            case "conversation.chat.completed":
                return [Finished(FinishReason.STOP), *_counted(mapping(event.get("usage")))]
            case "conversation.chat.failed" | "conversation.chat.canceled":
                return self._fail(mapping(event.get("last_error")))
            case "conversation.chat.requires_action":
                return self._fail({"msg": "the bot waits for a tool of its own"})
            case "error":
                return self._fail(event)
            case "done":
                self.ended = True
        return []

    def error_in(self, document: Json) -> UpstreamError | None:
        return _failure(document) if number(document.get("code")) else None

    def _message(self, event: Json, is_delta: bool) -> list[Event]:
        """Some bots give an answer whole and without deltas."""
        message = text(event.get("id"))
        if is_delta:
            self._begun_messages.add(message)
        elif message in self._begun_messages:
            return []
        thought, said = text(event.get("reasoning_content")), text(event.get("content"))
        events: list[Event] = [ThoughtPiece(thought)] if thought else []
        return [*events, TextPiece(said)] if said else events

    def _fail(self, error: Json) -> list[Event]:
        self.ended = True
        return [Failed(_failure(error))]


def _counted(usage: Json) -> list[Event]:
    prompt, completion = clamped(usage.get("input_count")), clamped(usage.get("output_count"))
    return [Counted(Usage(prompt, completion))] if prompt or completion else []


def _failure(error: Json) -> UpstreamError:
    code = number(error.get("code"))
    return reported(STATUS.get(code, 502), text(error.get("msg")), code or None, "coze_error")
