"""What comes of a channel's failures: disabled, enabled again, its breaker's state and its rate of success on record.

Blocking; called from jobs and from the one writing thread of a worker (relay.health), never on the event loop. Whoever
changes a status here also notifies, and only the one call that changed it does: one notification per transition.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping

from django.conf import settings
from django.db import transaction
from django.db.models import Q

from channels_app import services
from channels_app.models import BreakerState, Channel, ChannelHealth
from notices import services as notices
from options import services as option_services
from options import versions

log = logging.getLogger(__name__)

MAX_FAILURE = 500  # characters of an upstream's message that are kept
TRIES = 20  # times a window is folded anew because another worker was faster
GOOD, BAD = "1", "0"


@transaction.atomic
def disable(channel_id: int, reason: str) -> bool:
    """Take an enabled channel out of service and tell root. False when it was not enabled (any more)."""
    if not services.disable_automatically(channel_id, reason):
        return False
    log.warning("channel #%d was disabled: %s", channel_id, reason)
    notices.channel_disabled(channel_id, _name(channel_id), reason)
    return True


@transaction.atomic
def enable(channel_id: int) -> bool:
    """Put a channel that was disabled automatically back into service and tell root. False for any other."""
    if not services.enable_automatically(channel_id):
        return False
    log.info("channel #%d was enabled again", channel_id)
    notices.channel_enabled(channel_id, _name(channel_id))
    return True


def account_refused(channel_id: int, reason: str) -> bool:
    """A live call was refused on account of key or bill: disable, if the operator wants that done automatically."""
    return option_services.load()["AutomaticDisableChannelEnabled"] and disable(channel_id, reason)


def paused(channel_id: int, until: int) -> None:
    """The upstream asked to be left alone until then (Unix milliseconds); the later of two moments stands."""
    if not Channel.objects.filter(pk=channel_id).exists():
        return
    with transaction.atomic():
        row, _ = ChannelHealth.objects.get_or_create(pk=channel_id)
        if ChannelHealth.objects.filter(pk=row.pk, paused_until__lt=until).update(paused_until=until):
            versions.bump(versions.HEALTH)


def avoided() -> dict[int, float]:
    """Channels that some worker leaves alone, and the Unix second until which it does."""
    now = time.time()
    rows = ChannelHealth.objects.filter(Q(opened_until__gt=now) | Q(paused_until__gt=now * 1000))
    return {
        pk: max(opened, paused / 1000) for pk, opened, paused in rows.values_list("pk", "opened_until", "paused_until")
    }


@transaction.atomic
def breaker_changed(
    channel_id: int, state: BreakerState, *, opened_until: int, failures: int, openings: int, last_failure: str
) -> None:
    """Show what a worker's breaker did. `last_failure` "" keeps what is there."""
    if not Channel.objects.filter(pk=channel_id).exists():
        return
    values: dict[str, int | str] = {
        "breaker_state": state,
        "opened_until": opened_until,
        "failures": failures,
        "openings": openings,
        "changed_at": int(time.time()),
    }
    if last_failure:
        values["last_failure"] = last_failure[:MAX_FAILURE]
    if not ChannelHealth.objects.filter(pk=channel_id).update(**values):
        ChannelHealth.objects.update_or_create(pk=channel_id, defaults=values)
    versions.bump(versions.HEALTH)


def count_outcomes(outcomes: Mapping[int, str]) -> None:
    """Add outcomes (oldest first, GOOD or BAD each) to the windows all workers share, and disable what fell through.

    Windows hold exactly METRIC_QUEUE_SIZE outcomes. The rate is looked at after each of them, once the window is full.
    """
    for channel_id, latest in sorted(outcomes.items()):
        rate = _count(channel_id, latest)
        if rate is not None:
            disable(channel_id, rate_reason(rate))


def rate_reason(rate: float) -> str:
    """The contract's words: rate of the latest calls, their number, the threshold (5.5)."""
    size, threshold = settings.METRIC_QUEUE_SIZE, settings.METRIC_SUCCESS_RATE_THRESHOLD
    return f"最近 {size} 次调用的成功率为 {rate:.2%}，低于 {threshold:.2%}"


def fold(window: str, latest: str, size: int, threshold: float) -> tuple[str, float | None]:
    """The window after these outcomes, and the rate that was below the threshold, if one was. Pure.

    A window that tripped starts anew: a channel enabled again is judged by what it does then.
    """
    combined = window[-size:] + latest
    good = combined[: len(combined) - len(latest)].count(GOOD)
    start = 0
    tripped: float | None = None
    for end in range(len(combined) - len(latest), len(combined)):
        good += combined[end] == GOOD
        if end + 1 - start > size:
            good -= combined[start] == GOOD
            start += 1
        if end + 1 - start == size and good / size < threshold:
            tripped, start, good = good / size, end + 1, 0
    return combined[start:], tripped


def _count(channel_id: int, latest: str) -> float | None:
    """Compare and swap: of two workers at once the slower folds again, so that no outcome is lost."""
    size, threshold = settings.METRIC_QUEUE_SIZE, settings.METRIC_SUCCESS_RATE_THRESHOLD
    for _try in range(TRIES):
        row = ChannelHealth.objects.filter(pk=channel_id).values_list("outcomes", "outcomes_version").first()
        if row is None:
            if not Channel.objects.filter(pk=channel_id).exists():
                return None
            with transaction.atomic():
                ChannelHealth.objects.get_or_create(pk=channel_id)
            continue
        window, version = row
        folded, rate = fold(window, latest, size, threshold)
        swapped = ChannelHealth.objects.filter(pk=channel_id, outcomes_version=version).update(
            outcomes=folded, outcomes_version=version + 1
        )
        if swapped:
            return rate
    log.warning("channel #%d: outcomes of %d calls were not counted, the row is too busy", channel_id, len(latest))
    return None


def _name(channel_id: int) -> str:
    return Channel.objects.filter(pk=channel_id).values_list("name", flat=True).first() or ""
