"""What a group may call, and the prices that calls of it are billed at."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

from django.db.models import Min

from billing.pricing import Price
from billing.tables import PriceTable
from channels_app.catalogue import OWNERS
from channels_app.models import Ability
from channels_app.providers import PROVIDERS


@dataclass(frozen=True, slots=True)
class Offer:
    """One model. `owner`: who made it, as the model list tells it. `types`: of the channels that serve it.

    `prices`: the distinct ones of those channels, cheapest prompt first. `upstream`: the name it is billed under at the
    cheapest of them.
    """

    model: str
    owner: str
    types: tuple[int, ...]
    prices: tuple[Price, ...]
    upstream: str


def of_group(group: str, prices: PriceTable) -> list[Offer]:
    """By name. One query, whatever the number of models and channels."""
    columns = ("model", "channel__type", "channel__model_mapping")
    rows = Ability.objects.filter(group=group, enabled=True).values_list(*columns)
    rows = rows.annotate(first=Min("channel_id")).order_by("model", "first")
    served: dict[str, dict[tuple[str, int], None]] = {}
    mappings: dict[str, Mapping[str, str]] = {}
    for model, channel_type, mapping, _first in rows.iterator():
        if mapping not in mappings:
            mappings[mapping] = _names(mapping)
        served.setdefault(model, {})[mappings[mapping].get(model) or model, channel_type] = None
    return [_offer(model, list(routes), group, prices) for model, routes in served.items()]


def _offer(model: str, routes: list[tuple[str, int]], group: str, prices: PriceTable) -> Offer:
    found = {route: prices.price(*route, group) for route in routes}
    ordered = sorted(found.items(), key=lambda one: (one[1].ratio, one[1].completion_ratio))
    types = tuple(dict.fromkeys(channel_type for _name, channel_type in routes))
    owner = OWNERS.get(model) or next((PROVIDERS[one].owned_by for one in types if one in PROVIDERS), "custom")
    return Offer(model, owner, types, tuple(dict.fromkeys(price for _route, price in ordered)), ordered[0][0][0])


def _names(mapping: str) -> Mapping[str, str]:
    """The channel's JSON text; what is none counts as empty, as it does for calls."""
    try:
        read = json.loads(mapping or "{}")
    except ValueError:
        return {}
    return {name: to for name, to in read.items() if isinstance(to, str)} if isinstance(read, dict) else {}
