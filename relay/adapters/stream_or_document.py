"""Streams of upstreams that refuse one with a plain JSON document, under status 200 and in place of its events."""

from __future__ import annotations

from abc import abstractmethod

from config.weight import too_heavy
from relay.adapters.base import SseReader
from relay.adapters.shape import Json, chunk
from relay.errors import UpstreamError
from relay.neutral.events import Event, Failed
from relay.sse import MAX_EVENT, EventTooLong


class StreamOrDocument(SseReader):
    """The first byte that is no blank decides: no line of an event stream begins with a brace."""

    def __init__(self) -> None:
        super().__init__()
        self._begun = self._is_document = False
        self._document = b""

    def feed(self, chunk: bytes) -> list[Event]:
        if not self._begun:
            chunk = chunk.lstrip()
            if not chunk:
                return []
            self._begun, self._is_document = True, chunk.startswith(b"{")
        if not self._is_document:
            return super().feed(chunk)
        if len(self._document) + len(chunk) > MAX_EVENT:
            raise EventTooLong
        self._document += chunk
        return []

    def close(self) -> list[Event]:
        if not self._is_document:
            return super().close()
        document, self._document = self._document, b""
        if self.ended:
            return []
        self.ended = True
        unexplained = UpstreamError("the upstream sent a document in place of a stream", code="bad_response")
        return [Failed((None if too_heavy(document) else self.error_in(chunk(document))) or unexplained)]

    @abstractmethod
    def error_in(self, document: Json) -> UpstreamError | None:
        """The error that a document or an event tells of."""
