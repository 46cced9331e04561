"""What an upstream offers beside what a channel has chosen, and which of the chosen models have no price."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from billing.tables import PriceTable
from channels_app import upstream_models
from channels_app.snapshot import price_table
from options import services as option_services


@dataclass(frozen=True, slots=True)
class Discovery:
    """`new`: the upstream has them, the channel not. `chosen`: both. `gone`: the channel alone. In the lists' order.

    A chosen name that is mapped to another counts by the name the upstream is asked for. `unpriced`: among new and
    chosen, those a call of which would be billed at the guess for unknown models.
    """

    new: tuple[str, ...]
    chosen: tuple[str, ...]
    gone: tuple[str, ...]
    unpriced: frozenset[str]


def of_channel(channel_id: int, chosen: Sequence[str], mapping: str, channel_type: int) -> Discovery:
    """Asked with the stored key at the stored address. Raises ChannelMissing, ModelsUnknown."""
    return compare(upstream_models.of_channel(channel_id), chosen, mapping, channel_type)


def of_draft(fields: Mapping[str, Any], key: str, chosen: Sequence[str], mapping: str) -> Discovery:
    """For a channel that is being typed in. Raises ChannelInvalid, ModelsUnknown."""
    return compare(upstream_models.of_draft(fields, key), chosen, mapping, int(fields.get("type") or 1))


def compare(listed: Sequence[str], chosen: Sequence[str], mapping: str, channel_type: int) -> Discovery:
    """`mapping`: the channel's JSON text; what is none counts as empty, for it is still being typed."""
    there, upstream = set(listed), _names(mapping)
    asked = {name: upstream.get(name) or name for name in chosen}
    taken = set(asked.values()) | set(chosen)
    new = tuple(name for name in listed if name not in taken)
    return Discovery(
        new=new,
        chosen=tuple(name for name in chosen if asked[name] in there),
        gone=tuple(name for name in chosen if asked[name] not in there),
        unpriced=frozenset(unpriced([*new, *chosen], mapping, channel_type)),
    )


def unpriced(names: Iterable[str], mapping: str, channel_type: int, prices: PriceTable | None = None) -> list[str]:
    """Those of the names without a price of their own, by the name after mapping, as calls are billed."""
    table = prices or price_table(option_services.load())
    upstream = _names(mapping)
    return [name for name in names if not table.price(upstream.get(name) or name, channel_type, "default").known]


def _names(mapping: str) -> dict[str, str]:
    try:
        table = json.loads(mapping or "{}")
    except (ValueError, RecursionError):
        return {}
    if not isinstance(table, dict):
        return {}
    return {name: text for name, text in table.items() if isinstance(text, str)}
