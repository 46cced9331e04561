"""Usage and ratios in, points out. Pure arithmetic: exact, and rounded once, at the end.

A point is the unit of quota; 500,000 points are one US dollar. Ratio 1 is one point a token. Ratios are decimals and a
charge is what those decimals come to, so anybody can redo it by hand from the ratios shown. No charge is ever negative.
How a call is priced, with examples: docs/pricing.md.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import ROUND_DOWN, Context, Decimal
from functools import lru_cache

from billing.images import image_problem, size_factor

__all__ = [
    "Price",
    "Usage",
    "image_charge",
    "image_problem",
    "log_content",
    "speech_charge",
    "text_charge",
    "text_cost",
    "transcription_charge",
]

RATIO_DECIMALS = 18  # a ratio is read to this many decimals; more would only cost time
POINTS_PER_IMAGE = 1000  # of an image model with ratio 1: an image counts as 1,000 tokens

_FINEST = Decimal(1).scaleb(-RATIO_DECIMALS)
_EXACT = Context(prec=500, rounding=ROUND_DOWN)  # wide enough that no product of three ratios is ever rounded
_WITHOUT_COMPLETION = frozenset(
    {"images", "image_edits", "image_variations", "audio_speech", "audio_transcription", "audio_translation"}
)


@dataclass(frozen=True, slots=True)
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


@dataclass(frozen=True, slots=True)
class Price:
    """What one model costs one group on one type of channel.

    `known` is false when nobody has priced the model and the fallback applies; `group_known` when the group has no
    ratio and counts as 1. Both are configuration errors that an operator should see. Raises ValueError for a ratio
    that is negative or not finite: such a price could pay a caller.
    """

    model_ratio: Decimal
    completion_ratio: Decimal
    group_ratio: Decimal
    known: bool = True
    group_known: bool = True
    ratio: Decimal = field(init=False, compare=False)  # points for a prompt token, exactly
    # The same as whole numbers: a call costs (prompt * _prompt + completion * _completion) / _unit points.
    _prompt: int = field(init=False, repr=False, compare=False)
    _completion: int = field(init=False, repr=False, compare=False)
    _unit: int = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        for name in ("model_ratio", "completion_ratio", "group_ratio"):
            object.__setattr__(self, name, readable(getattr(self, name)))
        ratio = _EXACT.multiply(self.model_ratio, self.group_ratio)
        numerator, denominator = ratio.as_integer_ratio()
        times, over = self.completion_ratio.as_integer_ratio()
        object.__setattr__(self, "ratio", ratio)
        object.__setattr__(self, "_prompt", numerator * over)
        object.__setattr__(self, "_completion", numerator * times)
        object.__setattr__(self, "_unit", denominator * over)


def readable(ratio: Decimal) -> Decimal:
    """The ratio, cut to RATIO_DECIMALS decimals. ValueError unless it is finite, at least 0 and at most 10^12."""
    if not ratio.is_finite() or ratio < 0 or ratio > 10**12:
        raise ValueError(f"not a ratio: {ratio}")
    exponent = ratio.as_tuple().exponent
    if isinstance(exponent, int) and exponent < -RATIO_DECIMALS:
        return ratio.quantize(_FINEST, context=_EXACT)
    return ratio


def text_charge(price: Price, usage: Usage) -> int:
    """Points for a chat, completion, edit, embedding or moderation: ceil((prompt + completion x C) x R).

    No tokens cost nothing; any token costs at least 1 point unless the ratio is 0. Token numbers below 0, which only
    a broken upstream sends, count as 0.
    """
    return text_cost(price, usage.prompt_tokens, usage.completion_tokens)


def text_cost(price: Price, prompt_tokens: int, completion_tokens: int) -> int:
    """Points that so many tokens cost, rounded up: what a hold needs. Never less than the charge for fewer tokens."""
    prompt_tokens = max(prompt_tokens, 0)
    completion_tokens = max(completion_tokens, 0)
    points = -((-prompt_tokens * price._prompt - completion_tokens * price._completion) // price._unit)
    if points == 0 and price._prompt and prompt_tokens + completion_tokens:
        return 1
    return points


def image_charge(price: Price, model: str, size: str, quality: str, n: int) -> int:
    """Points for n images: each costs R x size factor x 1,000, cut to whole points, and at least 1 unless R is 0.

    `model` is the mapped name. Fewer than one image is charged as one. For a channel that makes one image whatever n
    says, pass 1.
    """
    if not price.ratio:
        return 0
    return max(int(_EXACT.multiply(price.ratio, size_factor(model, size, quality)) * POINTS_PER_IMAGE), 1) * max(n, 1)


def speech_charge(price: Price, text: str) -> int:
    """Points for speaking a text: characters (not bytes) x R, cut to whole points, and at least 1 unless R is 0."""
    if not text or not price.ratio:
        return 0
    return max(len(text) * price._prompt // (price._unit), 1)


def transcription_charge(price: Price, transcript_tokens: int) -> int:
    """Points for a transcript: ceil(tokens x R), as for a prompt of that length; the completion ratio plays no part."""
    return text_cost(price, transcript_tokens, 0)


@lru_cache(maxsize=4096)
def log_content(price: Price, kind: str) -> str:
    """The ratios as a log row shows them (the contract's text): model x group, and x completion where there is one.

    `kind` is the mode of the call. Two decimals as the contract prints them, from a binary float: 0.075 shows as 0.07.
    """
    shown = [price.model_ratio, price.group_ratio]
    if kind not in _WITHOUT_COMPLETION:
        shown.append(price.completion_ratio)
    return "倍率：" + " × ".join(f"{float(ratio):.2f}" for ratio in shown)
