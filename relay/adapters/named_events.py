"""Streams of server-sent events whose meaning lies in their names (`event:`), and not in their data alone."""

from __future__ import annotations

import re
from abc import abstractmethod

from relay import sse
from relay.adapters.base import SseReader, broken_off
from relay.neutral.events import Event

_NAME = re.compile(rb"(?:^|[\r\n])event: ?([^\r\n]*)")


class NamedEventsReader(SseReader):
    def feed(self, chunk: bytes) -> list[Event]:
        return [event for each in self._parser.feed(chunk) for event in self._read(each)]

    def close(self) -> list[Event]:
        last = self._parser.close()
        events = self._read(last) if last is not None else []
        return events if self.ended else [*events, broken_off()]

    def payload(self, data: bytes) -> list[Event]:
        return self.named("", data)

    @abstractmethod
    def named(self, name: str, data: bytes) -> list[Event]:
        """One event; `name` is "" where it has none."""

    def _read(self, event: sse.Event) -> list[Event]:
        if event.data is None or self.ended:
            return []
        names = _NAME.findall(event.raw)
        return self.named(names[-1].decode(errors="replace").strip() if names else "", event.data)
