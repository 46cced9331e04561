"""What a call used, and what of it a log row tells."""

from __future__ import annotations

import json
from dataclasses import dataclass

MOST_TOLD = 10**10 - 1  # tokens of one kind, as a log row shows them


@dataclass(slots=True)  # never changed; not frozen, because that makes each one several times as dear
class Usage:
    """Tokens of one call. `estimated`: the upstream named none, so they are our own count.

    `prompt_tokens` is everything fed in, `completion_tokens` everything generated; the other figures are parts of these
    two, never in addition to them.
    """

    prompt_tokens: int
    completion_tokens: int
    estimated: bool = False
    cached_tokens: int = 0  # of the prompt, read from the provider's cache
    cache_write_tokens: int = 0  # of the prompt, written to it for a short time (Anthropic: 5 minutes)
    cache_write_long_tokens: int = 0  # the same for a long time (Anthropic: 1 hour)
    audio_prompt_tokens: int = 0
    image_prompt_tokens: int = 0
    reasoning_tokens: int = 0  # of the completion
    audio_completion_tokens: int = 0
    image_completion_tokens: int = 0


def details(usage: Usage) -> str:
    """What the tokens consisted of, as a log row carries it: JSON of what is not 0, or "". At most 212 letters.

    `{"cached":800,"reasoning":90}`: the fields of `Usage` without their `_tokens`.
    """
    if not (
        usage.cached_tokens
        or usage.reasoning_tokens
        or usage.cache_write_tokens
        or usage.cache_write_long_tokens
        or usage.audio_prompt_tokens
        or usage.image_prompt_tokens
        or usage.audio_completion_tokens
        or usage.image_completion_tokens
    ):
        return ""
    told = {
        "cached": usage.cached_tokens,
        "cache_write": usage.cache_write_tokens,
        "cache_write_long": usage.cache_write_long_tokens,
        "audio_prompt": usage.audio_prompt_tokens,
        "image_prompt": usage.image_prompt_tokens,
        "reasoning": usage.reasoning_tokens,
        "audio_completion": usage.audio_completion_tokens,
        "image_completion": usage.image_completion_tokens,
    }
    return json.dumps({name: min(count, MOST_TOLD) for name, count in told.items() if count > 0}, separators=(",", ":"))
