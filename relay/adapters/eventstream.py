"""The binary event streams of AWS, decoded as the bytes come.

https://docs.aws.amazon.com/AmazonS3/latest/API/RESTSelectObjectAppendix.html (the framing is the same everywhere): a
message is its length, the length of its headers and a CRC of these two; headers; payload; a CRC of all before it.
"""

from __future__ import annotations

import struct
from binascii import crc32
from collections.abc import Iterator
from dataclasses import dataclass

from relay.sse import MAX_EVENT, EventTooLong

PRELUDE = 12  # bytes: two lengths and their CRC
SHORTEST = PRELUDE + 4
STRING = 7
# Header types whose values have a fixed size: true, false, byte, short, integer, long, timestamp, UUID.
SIZES = {0: 0, 1: 0, 2: 1, 3: 2, 4: 4, 5: 8, 8: 8, 9: 16}
COUNTED = frozenset({6, STRING})  # bytes and texts: their size goes before them


class BadFrame(ValueError):
    """The bytes are no event stream, or were damaged on their way."""


@dataclass(frozen=True, slots=True)
class Message:
    """`headers`: those that hold a text, which are all that services use."""

    headers: dict[str, str]
    payload: bytes


class Decoder:
    def __init__(self) -> None:
        self._rest = bytearray()

    @property
    def empty(self) -> bool:
        """Whether the bytes so far end where a message ends."""
        return not self._rest

    def feed(self, chunk: bytes) -> Iterator[Message]:
        """The messages these bytes complete. Raises BadFrame, EventTooLong; nothing can be read after either."""
        self._rest += chunk
        while len(self._rest) >= PRELUDE:
            total, size, check = struct.unpack_from(">III", self._rest)
            if crc32(self._rest[:8]) != check:
                raise BadFrame("the checksum of a message's lengths is wrong")
            if total > MAX_EVENT:
                raise EventTooLong
            if total < SHORTEST or size > total - SHORTEST:
                raise BadFrame("a message's lengths contradict each other")
            if len(self._rest) < total:
                break
            frame = bytes(self._rest[:total])
            del self._rest[:total]
            yield _message(frame, size)


def _message(frame: bytes, size: int) -> Message:
    if crc32(frame[:-4]) != struct.unpack(">I", frame[-4:])[0]:
        raise BadFrame("the checksum of a message is wrong")
    return Message(_headers(frame[PRELUDE : PRELUDE + size]), frame[PRELUDE + size : -4])


def _headers(block: bytes) -> dict[str, str]:
    headers = {}
    position = 0
    try:
        while position < len(block):
            start = position + 1
            end = start + block[position]
            name, kind = block[start:end].decode(), block[end]
            position = end + 1
            if kind in COUNTED:
                length = struct.unpack_from(">H", block, position)[0]
                value = block[position + 2 : position + 2 + length]
                position += 2 + length
                if kind == STRING:
                    headers[name] = value.decode()
            else:
                position += SIZES[kind]
    except (IndexError, KeyError, struct.error, UnicodeDecodeError) as error:
        raise BadFrame("a message's headers cannot be read") from error
    return headers
