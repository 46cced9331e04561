"""What an upstream's error says about the channel: does it refuse the account, so that every further call would fail?

Only what the upstream itself said in a structured answer counts, by status, `type` and `code`, and by messages that
providers are known to begin with. Words somewhere in a text never count: error texts quote prompts. What a caller can
cause (400 and its kin) never counts either, save for providers that report a dead account that way, in their own fixed
words. (Relay contract, 5.1; its weakness 21.)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

TYPES = frozenset({"insufficient_quota", "authentication_error", "permission_error", "forbidden"})
CODES = frozenset({"invalid_api_key", "account_deactivated"})
REFUSING_STATUSES = frozenset({0, 200, 401, 402, 403, 429})  # those in which type and code are believed; 0: in a stream

ANTHROPIC, GEMINI, GROQ, BEDROCK, VERTEX, GEMINI_OPENAI = 14, 24, 29, 33, 42, 51


class Fault(Protocol):
    """An upstream's error (relay.errors.UpstreamError).

    `answered` is the upstream's own status, 0 where the error came inside a stream; `structured` whether it sent JSON.
    """

    answered: int
    structured: bool
    kind: Any
    code: Any
    message: str


@dataclass(frozen=True, slots=True)
class Phrase:
    """How a provider's message begins (lower case). `types` empty: any channel type."""

    beginning: str
    statuses: frozenset[int]
    types: frozenset[int] = frozenset()


_ACCOUNT = frozenset({401, 402, 403, 429})
PHRASES = (
    Phrase("your access was terminated", _ACCOUNT),
    Phrase("your credit balance is too low", _ACCOUNT),
    Phrase("your credit balance is too low", frozenset({400}), frozenset({ANTHROPIC, BEDROCK})),
    Phrase("this organization has been disabled", _ACCOUNT),
    Phrase("this organization has been disabled", frozenset({400}), frozenset({ANTHROPIC})),
    Phrase("organization has been restricted", _ACCOUNT),
    Phrase("organization has been restricted", frozenset({400}), frozenset({GROQ})),
    Phrase("permission denied: consumer", frozenset({403}), frozenset({GEMINI, VERTEX, GEMINI_OPENAI})),
    Phrase("api key not valid", frozenset({400, 401, 403}), frozenset({GEMINI, GEMINI_OPENAI})),
    Phrase("api key expired", frozenset({400, 401, 403}), frozenset({GEMINI, GEMINI_OPENAI})),
    Phrase("insufficient balance", frozenset({402})),  # DeepSeek
    Phrase("insufficient credits", frozenset({402})),  # OpenRouter
    Phrase("您的账户已欠费", _ACCOUNT),  # Zhipu
)


def refuses_account(channel_type: int, fault: Fault) -> bool:
    """Whether the upstream will refuse every call of this channel until somebody mends key or bill.

    A 401 in HTML is some proxy's on the way and says nothing about the account.
    """
    if not fault.structured:
        return False
    status = fault.answered
    if status == 401:
        return True
    if status in REFUSING_STATUSES and (_among(fault.kind, TYPES) or _among(fault.code, CODES)):
        return True
    beginning = fault.message.lower()
    return any(
        beginning.startswith(phrase.beginning) and status in phrase.statuses
        for phrase in PHRASES
        if not phrase.types or channel_type in phrase.types
    )


def _among(value: Any, names: frozenset[str]) -> bool:
    """An upstream's `code` may be any JSON value."""
    return isinstance(value, str) and value in names
