"""Data inside a URL (RFC 2397), base64 only: how OpenAI's API carries pictures."""

from __future__ import annotations

import re

_HEAD = re.compile(r"data:(?P<mime>[\w.+-]+/[\w.+-]+)?(?:;[\w=.+-]+)*;base64,", re.ASCII | re.IGNORECASE)


def split(url: str) -> tuple[str, str] | None:
    """(MIME type or "", base64), None when it is another kind of address."""
    head = _HEAD.match(url)
    return ((head["mime"] or "").lower(), url[head.end() :]) if head else None
