"""What a worker routes by: options, prices, channels and abilities as one immutable object, replaced whole.

`load` blocks (four queries, whatever the number of channels) and is called off the event loop when the version has
moved. `choose` is the whole of channel selection: a pure function of the snapshot, what was tried, and a random number.
"""

from __future__ import annotations

import enum
import json
import logging
from bisect import bisect_right
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from itertools import accumulate
from types import MappingProxyType

from django.db.models import ExpressionWrapper, F, TextField

from billing import price_sheets
from billing.tables import PART_OPTIONS, PriceTable
from channels_app.models import Ability, Channel, ChannelStatus
from channels_app.providers import PROVIDERS, Provider
from options import services as option_services
from options import versions
from options.registry import Options
from vault.keys import CannotDecrypt, decrypt

log = logging.getLogger(__name__)

NOTHING: Mapping[str, str] = MappingProxyType({})


class BadRow(ValueError):
    """A stored channel cannot be used; the message says why and holds no secret."""


@dataclass(frozen=True, slots=True, eq=False)
class Route:
    """One channel as the relay needs it. `base_url` is the one to call, without trailing slash; `proxy` may be ""."""

    channel_id: int
    type: int
    provider: Provider
    name: str
    key: str = field(repr=False)
    base_url: str
    enabled: bool
    model_mapping: Mapping[str, str]
    config: Mapping[str, str] = field(repr=False)
    system_prompt: str
    priority: int
    weight: int
    groups: frozenset[str]
    proxy: str
    refuses_stream_options: bool

    def upstream_model(self, requested: str) -> str:
        """The name the upstream knows: one step of the mapping, exact match (relay reference 8.2)."""
        return self.model_mapping.get(requested) or requested


@dataclass(frozen=True, slots=True)
class Tier:
    """The enabled routes of one group and model that share a priority.

    `cumulative[i]` is the sum of the weights of routes[0..i]. A weight of 0, the stored default, counts as 1: a
    channel that is enabled gets traffic, and 2 means twice as much as an untouched channel.
    """

    priority: int
    routes: tuple[Route, ...]
    cumulative: tuple[int, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "cumulative", _cumulative(self.routes))


class Availability(enum.Enum):
    """What the channels say about a model a caller asks for."""

    READY = "ready"
    OUT_OF_SERVICE = "out of service"  # carried, but every channel is disabled or unusable: 503
    NOT_CARRIED = "not carried"  # by no channel of the group, enabled or not: 404


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Snapshot:
    """`channels` holds disabled ones too (a caller may name one); `abilities`, enabled ones only, best tier first."""

    version: int
    options: Options
    prices: PriceTable
    channels: Mapping[int, Route]
    abilities: Mapping[tuple[str, str], tuple[Tier, ...]]
    carried: Mapping[str, frozenset[str]]
    models: Mapping[str, tuple[str, ...]]

    def tiers(self, group: str, model: str) -> tuple[Tier, ...]:
        """Where a call may go, best tier first; empty when nothing enabled carries the model."""
        return self.abilities.get((group, model), ())


def available(snapshot: Snapshot, group: str, model: str) -> Availability:
    """Tells the 404 of a model nobody carries from the 503 of one whose channels are down (relay reference 3.5)."""
    if (group, model) in snapshot.abilities:
        return Availability.READY
    if model in snapshot.carried.get(group, ()):
        return Availability.OUT_OF_SERVICE
    return Availability.NOT_CARRIED


def choose(tiers: tuple[Tier, ...], tried: frozenset[int], draw: Callable[[], float]) -> Route | None:
    """The route of the next attempt, or None when every one was tried.

    Among the untried routes of the highest tier that has any, one at random in proportion to the weights. `tried` holds
    channel ids; `draw` gives a number in [0, 1) and is called only when there is something to decide.
    """
    for tier in tiers:
        if not tried:
            return _drawn(tier.routes, tier.cumulative, draw)
        left = tuple(route for route in tier.routes if route.channel_id not in tried)
        if left:
            return _drawn(left, _cumulative(left), draw)
    return None


def _cumulative(routes: Iterable[Route]) -> tuple[int, ...]:
    return tuple(accumulate(max(route.weight, 1) for route in routes))


def _drawn(routes: tuple[Route, ...], cumulative: tuple[int, ...], draw: Callable[[], float]) -> Route:
    if len(routes) == 1:
        return routes[0]
    place = bisect_right(cumulative, draw() * cumulative[-1])
    return routes[min(place, len(routes) - 1)]  # a float product may round up to the sum itself


def load() -> Snapshot:
    """Read everything now. The version is read first, so a change made meanwhile is seen as a newer version."""
    version = versions.read()[versions.ROUTING]
    options = option_services.load()
    if options.rejected:
        log.warning("stored options that cannot be used, their defaults apply: %s", ", ".join(options.rejected))
    channels = _channels()
    carried: dict[str, set[str]] = {}
    enabled: dict[tuple[str, str], list[Route]] = {}
    for group, model, channel_id in Ability.objects.order_by("id").values_list("group", "model", "channel_id"):
        carried.setdefault(group, set()).add(model)
        route = channels.get(channel_id)
        if route is not None and route.enabled:
            enabled.setdefault((group, model), []).append(route)
    models: dict[str, list[str]] = {}
    for group, model in sorted(enabled):
        models.setdefault(group, []).append(model)
    return Snapshot(
        version=version,
        options=options,
        prices=price_table(options),
        channels=MappingProxyType(channels),
        abilities=MappingProxyType({pair: _tiers(routes) for pair, routes in enabled.items()}),
        carried=MappingProxyType({group: frozenset(names) for group, names in carried.items()}),
        models=MappingProxyType({group: tuple(names) for group, names in models.items()}),
    )


def price_table(options: Options) -> PriceTable:
    """As calls are billed with these options; reads the synced sheet."""
    return PriceTable(
        options["ModelRatio"],
        options["CompletionRatio"],
        options["GroupRatio"],
        {part: options[key] for part, key in PART_OPTIONS.items()},
        synced=price_sheets.load(),
    )


def route(channel_id: int) -> Route | None:
    """One channel as stored now, for what acts on it outside a call (tests, balances). None: no such channel.

    Raises BadRow when the channel cannot be used as it is stored.
    """
    for row in _rows(channel_id):
        return _route(row)
    return None


def _tiers(routes: list[Route]) -> tuple[Tier, ...]:
    by_priority: dict[int, list[Route]] = {}
    for each in routes:
        by_priority.setdefault(each.priority, []).append(each)
    return tuple(Tier(priority, tuple(by_priority[priority])) for priority in sorted(by_priority, reverse=True))


def _channels() -> dict[int, Route]:
    found: dict[int, Route] = {}
    for row in _rows():
        try:
            found[row.pk] = _route(row)
        except BadRow as problem:
            log.error(  # noqa: TRY400 (the reason is in the message, and a stack may hold the secret)
                "channel #%d (%s) is left out of service: %s", row.pk, row.name, problem
            )
    return found


def _rows(channel_id: int | None = None) -> Iterable[Channel]:
    """Channels whose encrypted columns are still ciphertext, in `sealed_key` and `sealed_config`.

    Decrypted by the field itself, one value under a lost secret would fail the query and with it every channel.
    """
    rows = Channel.objects.defer("key", "config").annotate(
        sealed_key=ExpressionWrapper(F("key"), output_field=TextField()),
        sealed_config=ExpressionWrapper(F("config"), output_field=TextField()),
    )
    return rows.order_by("id") if channel_id is None else rows.filter(pk=channel_id)


def _route(row: Channel) -> Route:
    provider = PROVIDERS.get(row.type)
    if provider is None:
        raise BadRow(f"channel type {row.type} is not known")
    try:
        key, config_text = decrypt(row.sealed_key), decrypt(row.sealed_config)  # type: ignore[attr-defined]
    except CannotDecrypt as error:
        raise BadRow(str(error)) from None
    base_url = row.base_url.strip().rstrip("/") or provider.base_url
    if provider.needs_base_url and not base_url:
        raise BadRow("it has no base URL, and its type has no default")
    config = _config(row, provider, config_text)
    return Route(
        channel_id=row.pk,
        type=row.type,
        provider=provider,
        name=row.name,
        key=key,
        base_url=base_url,
        enabled=row.status == ChannelStatus.ENABLED,
        model_mapping=_object_of_texts(row, "model_mapping", row.model_mapping),
        config=config,
        system_prompt=row.system_prompt,
        priority=row.priority,
        weight=row.weight,
        groups=frozenset(name for part in row.group.split(",") if (name := part.strip())),
        proxy=config.get("proxy", ""),
        refuses_stream_options=row.refuses_stream_options,
    )


def _config(row: Channel, provider: Provider, text: str) -> Mapping[str, str]:
    """The config members, the legacy column `other` standing in for an empty one (management-api 3.8)."""
    config = _object_of_texts(row, "config", text)
    member, other = provider.other_fills, row.other.strip()
    if member and other and member not in config:
        return MappingProxyType({**config, member: other})
    return config


def _object_of_texts(row: Channel, column: str, text: str) -> Mapping[str, str]:
    """A stored JSON object name -> text; empty texts count as absent, and what is no such object as empty, logged."""
    if not text.strip():
        return NOTHING
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict) or not all(isinstance(item, str) for item in value.values()):
        log.warning("channel #%d (%s): %s is not a JSON object of texts and is ignored", row.pk, row.name, column)
        return NOTHING
    return MappingProxyType({name: item for name, item in value.items() if item})
