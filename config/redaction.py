"""Credentials that slip into a text are masked; what would let a text pose as a line is escaped."""

from __future__ import annotations

import re

# Between a name and its value: a header, JSON, a form, a pair as Python shows it.
_SAID = r"""(?:["']?\s*[:=]\s*(?:b(?=["']))?["']?|["'],\s*b?["'])"""
_HEADERS = "authorization|proxy-authorization|x-api-key|api-key|x-goog-api-key"
_NAMES = (
    "password|passwd|passphrase|secret|client_secret|access_token|refresh_token|id_token|api_key|apikey"
    "|private_key|session_secret"
)
SECRETS = (
    (re.compile(rf"(?i)\b({_HEADERS})({_SAID})((?:bearer|basic|token)\s+)?[^\s\"',;]+"), r"\1\2\3***"),
    (re.compile(rf"(?i)\b((?:set-)?cookie{_SAID})[^\r\n\"']+"), r"\1***"),
    (re.compile(rf"(?i)([\"']?\b(?:{_NAMES})[\"']?\s*[:=]\s*[\"'])[^\"']+"), r"\1***"),
    (re.compile(rf"(?i)\b((?:{_NAMES})\s*=\s*)[^\s&\"',;]+"), r"\1***"),
    (re.compile(r"\b(sk-)[A-Za-z0-9_-]{8,}"), r"\1***"),
    (re.compile(r"\b(AIza|gsk_|xai-|AKIA|ya29\.)[A-Za-z0-9_-]{8,}"), r"\1***"),
    (re.compile(r"\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]*)?"), "***"),  # a JWT
    (re.compile(r"(?i)\b(bearer\s+)[^\s\"',]+"), r"\1***"),
    (re.compile(r"(?i)([?&](?:key|api_key|access_token|token|code|secret)=)[^&\s\"']+"), r"\1***"),
    (re.compile(r"(://[^/\s:@]*:)[^/\s]+@"), r"\1***@"),
    (re.compile(r"(\b[\w.-]+:)[^\s@]+(?=@(?:tcp|unix)\()"), r"\1***"),  # as Go writes MySQL's address
    (re.compile(r"(?<![A-Za-z0-9])[A-Za-z0-9]{48}(?![A-Za-z0-9])"), "***"),  # a key of ours without its sk-
)
# Whatever a terminal or a reader of lines takes for the end of one, and what moves a terminal's cursor.
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f-\x9f\u2028\u2029]")


def mask(text: str) -> str:
    """The text with keys, tokens, and passwords in it replaced by ***."""
    for pattern, replacement in SECRETS:
        text = pattern.sub(replacement, text)
    return text


def one_line(text: str) -> str:
    """The text with control characters written out: \\n for a line feed."""
    if text.isprintable():
        return text
    return _CONTROL.sub(lambda found: found[0].encode("unicode_escape").decode(), text)
