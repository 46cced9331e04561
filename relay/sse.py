"""The grammar of server-sent events, incrementally and without touching the bytes.

WHATWG HTML, 9.2.6 "Interpreting an event stream": lines end in CRLF, LF or CR; a blank line ends an event; `data`
lines are joined by LF; one space after the colon is dropped; comments and unknown fields are ignored; a byte order
mark at the start is skipped.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from config.weight import too_heavy

MAX_EVENT = 16 * 1024 * 1024  # bytes of one event; more is an upstream gone wrong
BOM = b"\xef\xbb\xbf"

_BLANK_LINE = re.compile(rb"(?>\r\n|\n|\r)(?>\r\n|\n|\r)+")
_LINE_END = re.compile(rb"\r\n|\n|\r")


class EventTooLong(ValueError):
    """An event is longer than MAX_EVENT, or would take up too much memory."""


@dataclass(slots=True)
class Event:
    """`raw`: the event's bytes as they came, its blank line included. `data`: its payload, None if it has none."""

    raw: bytes
    data: bytes | None


class Parser:
    """Feed bytes as they arrive; each call returns the events they complete."""

    def __init__(self) -> None:
        self._rest = b""
        self._more: list[bytes] = []  # of the rest's last line: joined once, for a line of 10 MB comes in 160 pieces
        self._more_size = 0
        self._scanned = 0  # bytes of the rest known to hold no blank line
        self._started = False

    def feed(self, chunk: bytes) -> list[Event]:
        """Raises EventTooLong."""
        if self._rest and self._started and b"\n" not in chunk and b"\r" not in chunk:
            self._more.append(chunk)
            self._more_size += len(chunk)
            if len(self._rest) + self._more_size > MAX_EVENT:
                raise EventTooLong
            return []
        rest = self._joined() + chunk if self._rest else chunk
        if not self._started:
            if len(rest) < len(BOM) and BOM.startswith(rest):
                self._rest = rest
                return []
            self._started = True
            rest = rest.removeprefix(BOM)
        events = []
        position = 0
        search_from = self._scanned
        while found := _BLANK_LINE.search(rest, search_from):
            end = found.end()
            raw = rest[position:end]
            if too_heavy(raw):
                raise EventTooLong
            events.append(Event(raw, payload(raw)))
            position = search_from = end
        rest = rest[position:]
        if len(rest) > MAX_EVENT:
            raise EventTooLong
        self._rest = rest
        # A blank line may lie across the chunk border: look at the last three bytes again.
        self._scanned = max(0, len(rest) - 3)
        return events

    def plain(self, chunk: bytes) -> list[bytes] | None:
        """The payloads of a chunk that is nothing but whole events of the usual form; None: `feed` has to look."""
        if self._rest or not self._started or chunk[:6] != b"data: " or chunk[-2:] != b"\n\n" or b"\r" in chunk:
            return None
        payloads = chunk[6:-2].split(b"\n\ndata: ")
        return payloads if chunk.count(b"\n") == 2 * len(payloads) else None

    def _joined(self) -> bytes:
        """The rest as one piece."""
        if not self._more:
            return self._rest
        rest = b"".join((self._rest, *self._more))
        self._more, self._more_size = [], 0
        return rest

    def close(self) -> Event | None:
        """What was left without its blank line. The grammar discards it; whole payloads are used all the same."""
        rest, self._rest = self._joined(), b""
        return Event(rest, payload(rest)) if rest.strip() else None


def payload(raw: bytes) -> bytes | None:
    """The data of one event: its `data` lines joined by LF, None if there are none."""
    if raw.startswith(b"data: ") and raw.endswith(b"\n\n") and raw.find(b"\n") == len(raw) - 2 and b"\r" not in raw:
        return raw[6:-2]  # the form that nearly every upstream sends
    lines = []
    for line in _LINE_END.split(raw):
        if line == b"data":
            lines.append(b"")
        elif line.startswith(b"data:"):
            value = line[5:]
            lines.append(value[1:] if value.startswith(b" ") else value)
    return b"\n".join(lines) if lines else None
