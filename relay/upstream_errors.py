"""Upstream failures of any shape, brought into one (relay contract, 10.3) and told apart: does another channel help?"""

from __future__ import annotations

import re
from http import HTTPStatus
from typing import Any

import orjson

from relay.errors import UpstreamError, UpstreamTimeout, UpstreamUnreachable

ERROR_LIMIT = 1024 * 1024  # bytes of an upstream's error that are read
EXCERPT = 300  # characters of an odd body that are shown
LONGEST = 4000  # characters of a provider's own message
# The request itself was refused: every channel would refuse it, so it is the caller's to mend.
CALLERS_FAULT = frozenset({400, 405, 406, 409, 411, 413, 414, 415, 422, 451})
MESSAGE_PATHS = (
    ("message",),
    ("msg",),
    ("err",),
    ("error_msg",),
    ("header", "message"),
    ("response", "error", "message"),
    ("detail",),
)
_TAGS = re.compile(r"<(script|style)\b.*?</\1>|<[^>]*>", re.IGNORECASE | re.DOTALL)
_ADDRESS = re.compile(r"\b(?:https?|wss?)://[^\s\"'<>]+", re.IGNORECASE)
_KEY = re.compile(r"\b(sk-|AIza|gsk_|xai-|Bearer )[A-Za-z0-9_\-.]{6,}")


def normalise(status: int, body: bytes, retry_after: float | None) -> UpstreamError:
    """An upstream's error answer as ours: its own error object where it has one, else what can be made of it."""
    retry = status not in CALLERS_FAULT
    shown = status if 400 <= status <= 599 else 502
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError:
        document = None
    found = find_error(document)
    if found is not None:
        message, kind, param, code = found
        message = redact(message)[:LONGEST]
    else:
        message, kind, param, code = _described(status, body, document), None, str(status), None
    headers: tuple[tuple[bytes, bytes], ...] = ()
    if retry_after is not None and status in (429, 503):
        headers = ((b"retry-after", str(max(1, round(retry_after))).encode()),)
    error = UpstreamError(
        message, retry=retry, retry_after=retry_after, status=shown, kind=kind, param=param, headers=headers
    )
    # Any JSON value may be the code of an upstream's own error object, null included.
    error.code = code if found is not None else "bad_response_status_code"
    error.answered, error.structured = status, isinstance(document, dict)
    return error


def reason(error: UpstreamError) -> str:
    """What an attempt failed of, as one of telemetry.families.REASONS."""
    if isinstance(error, UpstreamTimeout):
        return "timeout"
    if isinstance(error, UpstreamUnreachable):
        return "unreachable"
    match error.answered:
        case 429:
            return "rate_limited"
        case 401 | 402 | 403:
            return "refused"
        case status if status >= 500:
            return "server_error"
        case status if status >= 400:
            return "client_error"
    return "bad_answer"


def find_error(document: Any) -> tuple[str, str | None, Any, Any] | None:
    """(message, type, param, code) of the error object in a JSON answer, if it has one."""
    if not isinstance(document, dict):
        return None
    error = document.get("error")
    if isinstance(error, dict) and (error.get("message") or error.get("type")):
        kind = error.get("type")
        param = error.get("param")
        return (
            str(error.get("message") or kind),
            kind if isinstance(kind, str) and kind else None,
            param if isinstance(param, str) else "",
            error.get("code"),
        )
    if isinstance(error, str) and error:
        return error, None, "", "bad_response_status_code"
    return None


def _described(status: int, body: bytes, document: Any) -> str:
    """The first message-like member of odd JSON, a cleaned excerpt of anything else, or the status alone."""
    if isinstance(document, dict):
        for path in MESSAGE_PATHS:
            value: Any = document
            for name in path:
                value = value.get(name) if isinstance(value, dict) else None
            if isinstance(value, str) and value:
                return redact(value)[:LONGEST]
    try:
        phrase = HTTPStatus(status).phrase
    except ValueError:
        phrase = ""
    text = " ".join(_TAGS.sub(" ", body[:20_000].decode(errors="replace")).split())
    excerpt = f": {redact(text)[:EXCERPT]}" if text and text.isprintable() else ""
    return f"bad response status code {status} {phrase}".rstrip() + excerpt


def without_key(text: str, key: str) -> str:
    """Of a key of several parts (`id|secret`) each by itself; short ones are words of any text."""
    for part in (key, *key.split("|")):
        if len(part) >= 8:
            text = text.replace(part, "[key]")
    return text


def bytes_without_key(raw: bytes, key: str) -> bytes:
    """The same of an upstream's own bytes."""
    return without_key(raw.decode(errors="surrogateescape"), key).encode(errors="surrogateescape")


def redact(text: str) -> str:
    """No addresses and no keys: messages of providers quote both."""
    return _KEY.sub("[key]", _ADDRESS.sub("[address]", text))
