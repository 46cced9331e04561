"""Channels by their tags: what those that bear the same one are together.

A channel of several tags counts in each of them, so the tags' numbers add up to more than the channels'. Neither keys
nor configs are read, and however many channels there are, it is one query.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache

from channels_app import listing
from channels_app.listing import NO_TAG, Filters
from channels_app.models import BreakerState, ChannelStatus, Outcome
from channels_app.validation import split_names

READ = (
    *("tags", "type", "status", "model_names", "used_quota", "balance", "balance_updated_time", "test_outcome"),
    *("health__breaker_state", "health__outcomes"),
)
CHUNK = 1000  # rows held at a time while they are summed up
REMEMBERED = 1000  # texts that are split once
# Plain numbers: looking members up would take as long as all else that is done with a row.
ENABLED, DISABLED, AUTO_DISABLED = (
    int(one) for one in (ChannelStatus.ENABLED, ChannelStatus.DISABLED, ChannelStatus.AUTO_DISABLED)
)
CLOSED, UNKNOWN = int(BreakerState.CLOSED), int(Outcome.UNKNOWN)
PASSED = frozenset({int(Outcome.PASSED), int(Outcome.SLOW)})


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
    split = lru_cache(maxsize=REMEMBERED)(_split)  # most channels share their lists with others
    rows = listing.matching(filters).values_list(*READ).iterator(chunk_size=CHUNK)
    for tags, kind, status, models, *facts in rows:
        for tag in split(tags) or (NO_TAG,):
            if filters.tag in ("", tag):
                into = found.get(tag) or found.setdefault(tag, Together(tag))
                into.models.update(split(models))
                _add(into, kind, status, *facts)
    return sorted(found.values(), key=lambda each: (each.tag == NO_TAG, each.tag))


def _split(names: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(split_names(names)))


def _add(
    into: Together,
    channel_type: int,
    status: int,
    used_quota: int,
    balance: float,
    asked: int,
    outcome: int,
    breaker: int | None,
    calls: str | None,
) -> None:
    into.channels += 1
    into.enabled += status == ENABLED
    into.disabled += status == DISABLED
    into.out_of_service += status == AUTO_DISABLED
    into.left_alone += breaker is not None and breaker != CLOSED
    into.used_quota += used_quota
    if asked:
        into.balances[channel_type] = into.balances.get(channel_type, 0.0) + balance
    into.tested += outcome != UNKNOWN
    into.passed += outcome in PASSED
    if calls:
        into.calls += len(calls)
        into.calls_well += calls.count("1")
