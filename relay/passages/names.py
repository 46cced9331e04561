"""Names of tools that an upstream does not take: it gets others in their place, and the caller their own back.

OpenAI, Bedrock, Qwen and others take 64 characters, Anthropic 128; programs with plugins send what Anthropic takes.
Dots are for Gemini's, where no name begins with a digit, and for those of the Model Context Protocol:
https://modelcontextprotocol.io/specification/2025-11-25/server/tools#tool-names.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable

from relay.adapters.base import TOOL_NAME
from relay.neutral.events import CallStarted, Event
from relay.neutral.request import Chat, Request, ToolCall, ToolResult

_FOREIGN = re.compile(r"[^a-zA-Z0-9_-]|^[^a-zA-Z_]")  # what some upstream or other refuses
DIGEST = 8  # characters of a name's digest; the same name is the same in every turn


class Names:
    """Of one request, in which those are replaced that are longer than `longest` or not of the `form`."""

    def __init__(self, request: Request, longest: int, form: re.Pattern[str] = TOOL_NAME) -> None:
        self._longest = longest
        self._form = form
        self._own: dict[str, str] = {}  # by the short name
        self._taken: set[str] = set()  # names that are given, which a short one must not be
        if isinstance(request, Chat) and not all(map(self._fits, _names(request))):
            self._taken.update(_names(request))
            self._shorten(request)

    def restored(self, event: Event) -> Event:
        if not isinstance(event, CallStarted) or event.name not in self._own:
            return event
        return CallStarted(event.index, event.id, self._own[event.name], event.choice, event.signature)

    def _fits(self, name: str) -> bool:
        """So does none at all: a result may answer no call, and a choice name no tool."""
        return not name or (len(name) <= self._longest and self._form.fullmatch(name) is not None)

    def _short(self, name: str) -> str:
        if self._fits(name):
            return name
        plain = _FOREIGN.sub("_", name)
        digest = hashlib.sha256(name.encode(errors="replace")).hexdigest()
        for start in range(len(digest) - DIGEST):
            short = f"{plain[: self._longest - DIGEST - 1]}_{digest[start : start + DIGEST]}"
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
