"""Prices as people read them: US dollars for a million tokens, for an image, for a million characters.

A point is worth 1 / QuotaPerUnit dollars, as everywhere money is shown.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from billing.images import factors
from billing.pricing import POINTS_PER_IMAGE, Price

MILLION = 1_000_000


@dataclass(frozen=True, slots=True)
class Rates:
    """Dollars for 1M tokens of each kind; None: they have no price of their own. Exact, not rounded."""

    prompt: Decimal
    completion: Decimal
    cached: Decimal | None
    cache_write: Decimal | None
    cache_write_long: Decimal | None
    audio_prompt: Decimal | None
    image_prompt: Decimal | None
    reasoning: Decimal | None
    audio_completion: Decimal | None
    image_completion: Decimal | None


def of_tokens(price: Price, per_unit: Decimal) -> Rates:
    prompt = price.ratio * MILLION / per_unit
    parts = price.parts

    def part(ratio: Decimal | None) -> Decimal | None:
        return None if ratio is None else prompt * ratio

    return Rates(
        prompt,
        prompt * price.completion_ratio,
        cached=part(parts.cached),
        cache_write=part(parts.cache_write),
        cache_write_long=part(parts.cache_write_long),
        audio_prompt=part(parts.audio_prompt),
        image_prompt=part(parts.image_prompt),
        reasoning=part(parts.reasoning),
        audio_completion=part(parts.audio_completion),
        image_completion=part(parts.image_completion),
    )


def of_image(price: Price, model: str, per_unit: Decimal) -> tuple[Decimal, Decimal]:
    """Dollars for one image: in the cheapest size and quality, and in the dearest. `model`: the mapped name."""
    least, most = factors(model)
    once = price.ratio * POINTS_PER_IMAGE / per_unit
    return once * least, once * most
