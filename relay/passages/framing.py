"""Streams that are passed on, cut where an event ends: what follows a torn one would be read as its rest."""

from __future__ import annotations

from typing import Protocol

from relay.adapters.json_objects import Objects

BLANK_LINES = (b"\n\n", b"\n\r\n", b"\r\r")  # the second after a line that ends in CRLF or in LF alone


class Framing(Protocol):
    """`feed` gives what is whole by now, `end` what closes the stream, `fail` the dialect's error in its place."""

    def feed(self, chunk: bytes) -> bytes: ...
    def end(self) -> bytes: ...
    def fail(self, error: bytes) -> bytes: ...


class EventFraming:
    """Server-sent events, byte for byte. Their length is the reader's to bound."""

    def __init__(self) -> None:
        self._rest = bytearray()

    def feed(self, chunk: bytes) -> bytes:
        looked = max(0, len(self._rest) - 3)  # a blank line may lie across the border
        self._rest += chunk
        ends = [at + len(line) for line in BLANK_LINES if (at := self._rest.rfind(line, looked)) >= 0]
        if not ends:
            return b""
        whole = bytes(self._rest[: max(ends)])
        del self._rest[: max(ends)]
        return whole

    def end(self) -> bytes:
        """An event without its blank line, which some leave out after the last one."""
        rest, self._rest = bytes(self._rest), bytearray()
        return rest.rstrip(b"\r\n") + b"\n\n" if rest.strip() else b""

    def fail(self, error: bytes) -> bytes:
        return error


class ArrayFraming:
    """One JSON array of objects, which are passed on each for itself."""

    def __init__(self) -> None:
        self._objects = Objects()
        self._begun = False

    def feed(self, chunk: bytes) -> bytes:
        return b"".join(self._next(found) for found in self._objects.feed(chunk))

    def _next(self, found: bytes) -> bytes:
        opening, self._begun = b",\r\n" if self._begun else b"[", True
        return opening + found

    def end(self) -> bytes:
        return b"\r\n]" if self._begun else b"[]"

    def fail(self, error: bytes) -> bytes:
        """`error`: an array of its own."""
        return b",\r\n" + error.removeprefix(b"[") if self._begun else error
