"""Names of tools that are longer than an upstream takes: it gets shorter ones, and the caller their own back.

OpenAI, Bedrock, Qwen and others take 64 characters, Anthropic 128; programs with plugins send what Anthropic takes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from relay.neutral.events import CallStarted, Event
from relay.neutral.request import Chat, Request, ToolCall, ToolResult

DIGEST = 8  # characters of a name's digest; the same name is the same in every turn


class Names:
    """Of one request, in which the long ones are replaced."""

    def __init__(self, request: Request, longest: int) -> None:
        self._longest = longest
        self._own: dict[str, str] = {}  # by the short name
        self._taken: set[str] = set()  # names that are given, which a short one must not be
        if isinstance(request, Chat) and any(len(name) > longest for name in _names(request)):
            self._taken.update(_names(request))
            self._shorten(request)

    def restored(self, event: Event) -> Event:
        if not isinstance(event, CallStarted) or event.name not in self._own:
            return event
        return CallStarted(event.index, event.id, self._own[event.name], event.choice, event.signature)

    def _short(self, name: str) -> str:
        if len(name) <= self._longest:
            return name
        digest = hashlib.sha256(name.encode(errors="replace")).hexdigest()
        for start in range(len(digest) - DIGEST):
            short = f"{name[: self._longest - DIGEST - 1]}_{digest[start : start + DIGEST]}"
            if short not in self._taken and self._own.setdefault(short, name) == name:
                break
        return short

    def _shorten(self, chat: Chat) -> None:
        for tool in chat.tools:
            tool.name = self._short(tool.name)
        if chat.tool_choice is not None:
            chat.tool_choice.name = self._short(chat.tool_choice.name)
        for turn in chat.turns:
            for part in turn.parts:
                if isinstance(part, ToolCall | ToolResult):
                    part.name = self._short(part.name)


def _names(chat: Chat) -> Iterable[str]:
    yield from (tool.name for tool in chat.tools)
    yield from (part.name for turn in chat.turns for part in turn.parts if isinstance(part, ToolCall | ToolResult))
