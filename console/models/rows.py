"""A model as one row of the list: names and prices in words, and numbers to sort by."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal

from django.utils.functional import Promise
from django.utils.translation import gettext as _

from billing import rates
from channels_app.offers import Offer
from channels_app.providers import PROVIDERS
from console.formats import rate
from console.models.kinds import CHAT, IMAGE, LABELS, SPEECH, abilities_of, kind_of

OWNER_NAMES = {"custom": "–"}
for _provider in PROVIDERS.values():
    OWNER_NAMES.setdefault(_provider.owned_by, _provider.name)


@dataclass(frozen=True)
class ModelRow:
    """`prompt` and `completion`: dollars for 1M tokens at the cheapest channel, to sort by. The shown ones are ranges
    where the channels' prices differ. `others`: (what, price) of parts with a price of their own.
    """

    name: str
    owner: str
    owner_name: str
    kind: str
    kind_label: str | Promise
    abilities: list[str | Promise]
    priced: bool  # False: nobody has set a price, and the one for unknown models holds
    prompt: Decimal
    completion: Decimal
    cached: Decimal
    shown_prompt: str
    shown_completion: str
    shown_cached: str
    others: list[tuple[str, str]]
    types: str  # of the channels behind it, for administrators

    @property
    def chats(self) -> bool:
        return self.kind == CHAT


def row_of(offer: Offer, per_unit: Decimal) -> ModelRow:
    kind = kind_of(offer.model)
    cheapest, all_rates = offer.prices[0], [rates.of_tokens(price, per_unit) for price in offer.prices]
    first = all_rates[0]
    cached = [one.cached for one in all_rates if one.cached is not None]
    by_token = kind not in (IMAGE, SPEECH)
    return ModelRow(
        name=offer.model,
        owner=offer.owner,
        owner_name=OWNER_NAMES.get(offer.owner, offer.owner),
        kind=kind,
        kind_label=LABELS[kind],
        abilities=abilities_of(kind, cheapest),
        priced=cheapest.known,
        prompt=first.prompt,
        completion=first.completion,
        cached=first.cached if first.cached is not None else first.prompt,
        shown_prompt=_range([one.prompt for one in all_rates]) if by_token else "–",
        shown_completion=_range([one.completion for one in all_rates]) if kind == CHAT else "–",
        shown_cached=_range(cached) if by_token and cached else "–",
        others=_others(offer, kind, first, per_unit),
        types=", ".join(PROVIDERS[one].name for one in offer.types if one in PROVIDERS),
    )


def _others(offer: Offer, kind: str, first: rates.Rates, per_unit: Decimal) -> list[tuple[str, str]]:
    if kind == IMAGE:
        return [(_("an image"), _range(rates.of_image(offer.prices[0], offer.upstream, per_unit)))]
    if kind == SPEECH:
        return [(_("1M characters"), rate(first.prompt))]
    named = (
        (_("cache write"), first.cache_write),
        (_("long cache write"), first.cache_write_long),
        (_("sound in"), first.audio_prompt),
        (_("sound out"), first.audio_completion),
        (_("images in"), first.image_prompt),
        (_("images out"), first.image_completion),
        (_("thinking"), first.reasoning),
    )
    return [(name, rate(dollars)) for name, dollars in named if dollars is not None]


def _range(dollars: Iterable[Decimal]) -> str:
    found = list(dollars)
    least, most = rate(min(found)), rate(max(found))
    return least if least == most else f"{least} – {most}"
