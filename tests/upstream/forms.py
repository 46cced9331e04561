"""Multipart bodies, as far as audio and image requests need them."""

from __future__ import annotations

from email.parser import BytesParser
from email.policy import HTTP
from typing import cast


def read(content_type: str, body: bytes) -> dict[str, str | bytes]:
    """Fields as text, files as bytes, by name (RFC 7578). A body that is not multipart is an empty form."""
    message = BytesParser(policy=HTTP).parsebytes(b"Content-Type: " + content_type.encode() + b"\r\n\r\n" + body)
    form: dict[str, str | bytes] = {}
    if not message.is_multipart():
        return form
    for part in message.iter_parts():
        name = part.get_param("name", header="content-disposition")
        raw = cast("bytes", part.get_payload(decode=True))  # no part of ours is multipart itself
        form[str(name)] = raw if part.get_filename() else raw.decode()
    return form
