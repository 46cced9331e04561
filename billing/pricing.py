"""Usage and ratios in, points out. Pure arithmetic: exact, and rounded once, at the end.

A point is the unit of quota; 500,000 points are one US dollar. Ratio 1 is one point a token. Ratios are decimals and a
charge is what those decimals come to, so anybody can redo it by hand from the ratios shown. No charge is ever negative.
How a call is priced, with examples: docs/pricing.md.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, fields
from decimal import ROUND_DOWN, Context, Decimal
from fractions import Fraction
from functools import lru_cache

from billing.images import image_problem, size_factor
from billing.usage import Usage, details

__all__ = [
    "AS_TEXT",
    "PartRatios",
    "Price",
    "Usage",
    "details",
    "image_charge",
    "image_problem",
    "least_cost",
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
class PartRatios:
    """What special tokens cost, in prompt tokens of the same model: cached 0.1 is a tenth of a prompt token.

    All are relative to the model's *prompt* price, also those of the completion: such a ratio stands in the place
    of the completion ratio. None: a prompt part costs what the prompt costs (1), a completion part what the
    completion costs (the completion ratio). Raises ValueError as Price does.
    """

    cached: Decimal | None = None
    cache_write: Decimal | None = None
    cache_write_long: Decimal | None = None
    audio_prompt: Decimal | None = None
    image_prompt: Decimal | None = None
    reasoning: Decimal | None = None
    audio_completion: Decimal | None = None
    image_completion: Decimal | None = None

    def __post_init__(self) -> None:
        for each in fields(self):
            ratio = getattr(self, each.name)
            if ratio is not None:
                object.__setattr__(self, each.name, readable(ratio))


AS_TEXT = PartRatios()


@dataclass(frozen=True, slots=True)
class _Weights:
    """Points of one token of each kind, times `unit`."""

    unit: int
    prompt: int
    completion: int
    cached: int
    cache_write: int
    cache_write_long: int
    audio_prompt: int
    image_prompt: int
    reasoning: int
    audio_completion: int
    image_completion: int


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
    parts: PartRatios = field(default=AS_TEXT, hash=False)
    ratio: Decimal = field(init=False, compare=False)  # points for a prompt token, exactly
    # The same as whole numbers: a call costs (prompt * _prompt + completion * _completion) / _unit points.
    _prompt: int = field(init=False, repr=False, compare=False)
    _completion: int = field(init=False, repr=False, compare=False)
    _unit: int = field(init=False, repr=False, compare=False)
    # The dearest a token of either kind can be, which is what a hold assumes.
    _prompt_most: int = field(init=False, repr=False, compare=False)
    _completion_most: int = field(init=False, repr=False, compare=False)
    _weights: _Weights | None = field(init=False, repr=False, compare=False)  # None: every part costs what text costs

    def __post_init__(self) -> None:
        for name in ("model_ratio", "completion_ratio", "group_ratio"):
            object.__setattr__(self, name, readable(getattr(self, name)))
        ratio = _EXACT.multiply(self.model_ratio, self.group_ratio)
        numerator, denominator = ratio.as_integer_ratio()
        times, over = self.completion_ratio.as_integer_ratio()
        weights = None if self.parts == AS_TEXT else self._weigh(ratio)
        if weights is not None:
            unit, prompt, completion = weights.unit, weights.prompt, weights.completion
        else:
            unit, prompt, completion = denominator * over, numerator * over, numerator * times
        object.__setattr__(self, "ratio", ratio)
        object.__setattr__(self, "_unit", unit)
        object.__setattr__(self, "_prompt", prompt)
        object.__setattr__(self, "_completion", completion)
        object.__setattr__(self, "_weights", weights)
        if weights is not None:
            prompt = max(
                prompt, weights.cached, weights.cache_write, weights.cache_write_long, weights.audio_prompt,
                weights.image_prompt,
            )  # fmt: skip
            completion = max(completion, weights.reasoning, weights.audio_completion, weights.image_completion)
        object.__setattr__(self, "_prompt_most", prompt)
        object.__setattr__(self, "_completion_most", completion)

    @property
    def dearest_completion_token(self) -> Fraction:
        """Points of one completion token of the dearest kind; what `text_cost` reckons with."""
        return Fraction(self._completion_most, self._unit)

    def _weigh(self, ratio: Decimal) -> _Weights:
        """Every ratio as whole numbers over one denominator, so that their sum is exact."""
        told = self.parts
        completion = Fraction(self.completion_ratio)
        relative = {
            "prompt": Fraction(1),
            "completion": completion,
            "cached": _or(told.cached, Fraction(1)),
            "cache_write": _or(told.cache_write, Fraction(1)),
            "cache_write_long": _or(told.cache_write_long, _or(told.cache_write, Fraction(1))),
            "audio_prompt": _or(told.audio_prompt, Fraction(1)),
            "image_prompt": _or(told.image_prompt, Fraction(1)),
            "reasoning": _or(told.reasoning, completion),
            "audio_completion": _or(told.audio_completion, completion),
            "image_completion": _or(told.image_completion, completion),
        }
        points = {name: Fraction(ratio) * each for name, each in relative.items()}
        unit = math.lcm(*(each.denominator for each in points.values()))
        return _Weights(unit, **{name: int(each * unit) for name, each in points.items()})


def _or(ratio: Decimal | None, other: Fraction) -> Fraction:
    return other if ratio is None else Fraction(ratio)


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

    Tokens that have a ratio of their own (cached, written to a cache, sound, pictures, reasoning) cost by it and are
    taken out of the prompt or the completion they are part of. No tokens cost nothing; any token costs at least
    1 point unless the ratio is 0. Token numbers below 0, which only a broken upstream sends, count as 0.
    """
    weights = price._weights
    if weights is None or not (
        usage.cached_tokens
        or usage.cache_write_tokens
        or usage.cache_write_long_tokens
        or usage.audio_prompt_tokens
        or usage.image_prompt_tokens
        or usage.reasoning_tokens
        or usage.audio_completion_tokens
        or usage.image_completion_tokens
    ):
        return _points(price, usage.prompt_tokens, usage.completion_tokens)
    return _charge_of_parts(price, weights, usage)


def _points(price: Price, prompt_tokens: int, completion_tokens: int) -> int:
    prompt_tokens = max(prompt_tokens, 0)
    completion_tokens = max(completion_tokens, 0)
    points = -((-prompt_tokens * price._prompt - completion_tokens * price._completion) // price._unit)
    if points == 0 and price._prompt and prompt_tokens + completion_tokens:
        return 1
    return points


def _charge_of_parts(price: Price, weights: _Weights, usage: Usage) -> int:
    """Each part is cut to what the parts before it have left, so that no token is counted twice, whatever is told."""
    rest = max(usage.prompt_tokens, 0)
    total = 0
    for told, weight in (
        (usage.cached_tokens, weights.cached),
        (usage.cache_write_long_tokens, weights.cache_write_long),
        (usage.cache_write_tokens, weights.cache_write),
        (usage.audio_prompt_tokens, weights.audio_prompt),
        (usage.image_prompt_tokens, weights.image_prompt),
    ):
        part = min(max(told, 0), rest)
        rest -= part
        total += part * weight
    total += rest * weights.prompt
    rest = max(usage.completion_tokens, 0)
    for told, weight in (
        (usage.reasoning_tokens, weights.reasoning),
        (usage.audio_completion_tokens, weights.audio_completion),
        (usage.image_completion_tokens, weights.image_completion),
    ):
        part = min(max(told, 0), rest)
        rest -= part
        total += part * weight
    total += rest * weights.completion
    points = -(-total // weights.unit)
    if points == 0 and price._prompt and (usage.prompt_tokens > 0 or usage.completion_tokens > 0):
        return 1
    return points


def text_cost(price: Price, prompt_tokens: int, completion_tokens: int) -> int:
    """Points that so many tokens can cost at most, rounded up: what a hold needs.

    Never less than the charge for as many or fewer tokens, whatever parts they turn out to consist of: each is taken to
    be of the dearest kind the model has (where cache writes cost 1.25 or 2, a prompt may be all written).
    """
    prompt_tokens = max(prompt_tokens, 0)
    completion_tokens = max(completion_tokens, 0)
    points = -((-prompt_tokens * price._prompt_most - completion_tokens * price._completion_most) // price._unit)
    if points == 0 and price._prompt and prompt_tokens + completion_tokens:
        return 1
    return points


def least_cost(price: Price, prompt_tokens: int, completion_tokens: int) -> int:
    """Points that so many tokens of plain text cost: what a balance must bear for a call to begin at all."""
    return _points(price, prompt_tokens, completion_tokens)


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
    return _points(price, transcript_tokens, 0)


@lru_cache(maxsize=4096)
def log_content(price: Price, kind: str) -> str:
    """The ratios as a log row shows them (the contract's text): model x group, and x completion where there is one.

    `kind` is the mode of the call. Two decimals as the contract prints them, from a binary float: 0.075 shows as 0.07.
    """
    shown = [price.model_ratio, price.group_ratio]
    if kind not in _WITHOUT_COMPLETION:
        shown.append(price.completion_ratio)
    return "倍率：" + " × ".join(f"{float(ratio):.2f}" for ratio in shown)
