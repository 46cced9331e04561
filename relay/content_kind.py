"""What fetched content is: by its Content-Type, and by its first bytes where that says nothing. Pure."""

from __future__ import annotations

import re

TYPE = re.compile(r"[a-z0-9!#$&^_.+-]{1,100}/[a-z0-9!#$&^_.+-]{1,100}")  # RFC 6838, 4.2
SAYS_NOTHING = frozenset({"", "application/octet-stream", "binary/octet-stream", "application/unknown"})
FITTING = {
    "image": ("image/",),
    "audio": ("audio/", "application/ogg"),
    "video": ("video/", "application/mp4"),
    "file": ("",),  # any
}
ARTICLES = {"image": "an image", "audio": "audio", "video": "a video", "file": "a file"}
ENOUGH = 16  # first bytes that `sniffed` looks at

# (place, bytes, type), https://mimesniff.spec.whatwg.org/ and https://mp4ra.org/registered-types/brands
MARKS = (
    (0, b"\x89PNG\r\n\x1a\n", "image/png"),
    (0, b"\xff\xd8\xff", "image/jpeg"),
    (0, b"GIF87a", "image/gif"),
    (0, b"GIF89a", "image/gif"),
    (8, b"WEBP", "image/webp"),
    (0, b"BM", "image/bmp"),
    (0, b"II*\x00", "image/tiff"),
    (0, b"MM\x00*", "image/tiff"),
    (4, b"ftypavif", "image/avif"),
    (4, b"ftypheic", "image/heic"),
    (4, b"ftypheix", "image/heic"),
    (4, b"ftypmif1", "image/heif"),
    (4, b"ftypM4A ", "audio/mp4"),
    (4, b"ftypqt  ", "video/quicktime"),
    (4, b"ftyp", "video/mp4"),
    (8, b"WAVE", "audio/wav"),
    (8, b"AVI ", "video/x-msvideo"),
    (0, b"ID3", "audio/mpeg"),
    (0, b"\xff\xfb", "audio/mpeg"),
    (0, b"\xff\xf3", "audio/mpeg"),
    (0, b"\xff\xf2", "audio/mpeg"),
    (0, b"\xff\xf1", "audio/aac"),
    (0, b"\xff\xf9", "audio/aac"),
    (0, b"OggS", "audio/ogg"),
    (0, b"fLaC", "audio/flac"),
    (0, b"\x1aE\xdf\xa3", "video/webm"),
    (0, b"%PDF-", "application/pdf"),
)


def declared(content_type: str) -> str:
    """In lower case, without parameters; "" where it says nothing."""
    mime = content_type.partition(";")[0].strip().lower()
    return "" if mime in SAYS_NOTHING or not TYPE.fullmatch(mime) else mime


def fits(mime: str, kind: str) -> bool:
    return mime.startswith(FITTING[kind])


def sniffed(start: bytes) -> str:
    """The type of what begins so; "application/octet-stream" where that cannot be told."""
    for place, mark, mime in MARKS:
        if start[place : place + len(mark)] == mark and (place != 8 or start.startswith(b"RIFF")):
            return mime
    return "application/octet-stream"
