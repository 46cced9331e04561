"""Channels by their tags: what those that bear the same one are together.

A channel of several tags counts in each of them, so the tags' numbers add up to more than the channels'. Neither keys
nor configs are read, and however many channels there are, it is one query.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from channels_app import listing
from channels_app.listing import NO_TAG, Filters
from channels_app.models import BreakerState, ChannelStatus, Outcome
from channels_app.validation import split_names

READ = (
    *("tags", "type", "status", "model_names", "used_quota", "balance", "balance_updated_time", "test_outcome"),
    *("health__breaker_state", "health__outcomes"),
)
CHUNK = 1000  # rows held at a time while they are summed up


@dataclass(slots=True)
class Together:
    """The channels of one tag, or with `tag` NO_TAG those without any.

    `disabled`: by hand; `out_of_service`: automatically. `left_alone`: their circuit breaker is not closed. `balances`:
    sums of those that are known, by the channel's type, since each type has its own unit. `used_quota`: points.
    `tested`, `passed`: of the channels' last tests. `calls`, `calls_well`: of the latest live calls on record.
    """

    tag: str
    channels: int = 0
    enabled: int = 0
    disabled: int = 0
    out_of_service: int = 0
    left_alone: int = 0
    models: set[str] = field(default_factory=set)
    used_quota: int = 0
    balances: dict[int, float] = field(default_factory=dict)
    tested: int = 0
    passed: int = 0
    calls: int = 0
    calls_well: int = 0


def together(filters: Filters) -> list[Together]:
    """One for each tag of the channels that match, by name, and at the end those without. A filter's own tag alone."""
    found: dict[str, Together] = {}
    rows = listing.matching(filters).values_list(*READ).iterator(chunk_size=CHUNK)
    for tags, *facts in rows:
        for tag in dict.fromkeys(split_names(tags)) or (NO_TAG,):
            if filters.tag in ("", tag):
                _add(found.setdefault(tag, Together(tag)), *facts)
    return sorted(found.values(), key=lambda each: (each.tag == NO_TAG, each.tag))


def _add(
    into: Together,
    channel_type: int,
    status: int,
    model_names: str,
    used_quota: int,
    balance: float,
    asked: int,
    outcome: int,
    breaker: int | None,
    calls: str | None,
) -> None:
    into.channels += 1
    into.enabled += status == ChannelStatus.ENABLED
    into.disabled += status == ChannelStatus.DISABLED
    into.out_of_service += status == ChannelStatus.AUTO_DISABLED
    into.left_alone += breaker is not None and breaker != BreakerState.CLOSED
    into.models.update(split_names(model_names))
    into.used_quota += used_quota
    if asked:
        into.balances[channel_type] = into.balances.get(channel_type, 0.0) + balance
    into.tested += outcome != Outcome.UNKNOWN
    into.passed += outcome in (Outcome.PASSED, Outcome.SLOW)
    into.calls += len(calls or "")
    into.calls_well += (calls or "").count("1")
