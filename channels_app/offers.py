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
from channels_app.snapshot import price_table
from options import services as option_services
from options import versions

MOST_GROUPS = 100  # whose offers a process remembers


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


_known: dict[str, tuple[int, tuple[Offer, ...]]] = {}  # of a group, and the version it was read at


def current(group: str) -> tuple[Offer, ...]:
    """By name, with the stored options; read again when the configuration's version has moved.

    With 100,000 abilities reading takes longer than all else of the page that shows them. Nothing is decided by it.
    """
    version = versions.read()[versions.ROUTING]  # first: what changes meanwhile is seen as a newer one
    known = _known.get(group)
    if known is None or known[0] != version:
        known = version, tuple(of_group(group, price_table(option_services.load())))
        if len(_known) >= MOST_GROUPS:
            _known.clear()
        _known[group] = known
    return known[1]


def forget() -> None:
    """For who changes the tables without raising the version."""
    _known.clear()


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
