"""The size of a picture, read from its first bytes: PNG, GIF, JPEG and WebP, without decoding a pixel."""

from __future__ import annotations

import base64
import binascii
import struct

__all__ = ["DATA_URL", "data_url_size", "picture_size"]

DATA_URL = "data:image/"

# Base64 characters looked at: enough for every header but that of a JPEG with much metadata, for which more is decoded.
HEAD, MOST = 4 * 1024, 4 * 1024 * 1024

# JPEG frame headers, which carry the size: SOF0 to SOF15 but DHT, JPG and DAC (ITU-T T.81, table B.1).
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_BARE = frozenset({0x01, *range(0xD0, 0xD8)})  # JPEG markers without a length


def data_url_size(address: str) -> tuple[int, int] | None:
    """(width, height) in pixels of the picture in a data: address, or None where it cannot be told."""
    comma = address.find(",", 0, 1024)
    if comma < 0 or not address[:comma].endswith(";base64"):
        return None
    for length in (HEAD, MOST):
        encoded = "".join(address[comma + 1 : comma + 1 + length].split())
        encoded = encoded[: len(encoded) // 4 * 4] or encoded
        try:
            head = base64.b64decode(encoded)
        except (binascii.Error, ValueError):
            return None
        size = picture_size(head)
        if size is not None or len(address) - comma - 1 <= length:
            return size
    return None


def picture_size(head: bytes) -> tuple[int, int] | None:
    """(width, height) in pixels, or None where the bytes are no picture we know or end too early."""
    if head.startswith(b"\x89PNG\r\n\x1a\n") and len(head) >= 24:
        width, height = struct.unpack_from(">II", head, 16)
        return width, height
    if head.startswith((b"GIF87a", b"GIF89a")) and len(head) >= 10:
        width, height = struct.unpack_from("<HH", head, 6)
        return width, height
    if head.startswith(b"\xff\xd8"):
        return _jpeg(head)
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP" and len(head) >= 30:
        return _webp(head)
    return None


def _jpeg(head: bytes) -> tuple[int, int] | None:
    at = 2
    while at + 9 <= len(head):
        if head[at] != 0xFF:
            return None
        marker = head[at + 1]
        if marker == 0xFF:  # a fill byte
            at += 1
        elif marker in _BARE:
            at += 2
        elif marker in _FRAMES:
            height, width = struct.unpack_from(">HH", head, at + 5)
            return width, height
        else:
            at += 2 + max(int.from_bytes(head[at + 2 : at + 4], "big"), 2)
    return None


def _webp(head: bytes) -> tuple[int, int] | None:
    """RFC 9649, sections 2.5 to 2.7; the lossy frame header is in RFC 6386, 9.1."""
    match head[12:16]:
        case b"VP8 ":
            width, height = struct.unpack_from("<HH", head, 26)
            return width & 0x3FFF, height & 0x3FFF
        case b"VP8L":
            bits = int.from_bytes(head[21:25], "little")
            return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
        case b"VP8X":
            return int.from_bytes(head[24:27], "little") + 1, int.from_bytes(head[27:30], "little") + 1
        case _:
            return None
