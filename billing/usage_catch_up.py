"""Log lines from before there were sums of usage, added to them: once after the upgrade, and whatever comes late.

A version without the sums leaves the status of its lines at 0, as an import from another installation does; every line
of this version has one. So each line is in the sums once, whoever wrote it. The number of the last line looked at is
moved in the transaction that adds, which makes a run that was interrupted go on where it stopped.
"""

from __future__ import annotations

import json
import logging
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from django.db import transaction
from django.db.models import F, Max
from django.db.models.functions import Least

from billing.batch.rollups import MOST_TOKENS, PERIODS, Of, upsert
from billing.batch.sql import open_cursor
from billing.models import Log, LogType, UsageCatchUp
from billing.usage_weeks import monday_of
from jobs.running import Context

log = logging.getLogger(__name__)

STEP = 5000  # log lines of one transaction
GRACE = 5.0  # seconds in which a line that has its number is surely committed
COLUMNS = (
    "user_id", "token_id", "channel_id", "model_name", "group", "created_at", "error_code", "prompt_tokens",
    "completion_tokens", "usage_details", "quota", "elapsed_time",
)  # fmt: skip

Sums = dict[tuple[Any, ...], list[int]]


def catch_up(pause: Callable[[float], bool], told: Callable[[int, int], None] = lambda seen, newest: None) -> int:
    """Add every line that is there now and not in the sums; returns how many were added.

    `pause(seconds)` waits, and says True to end early; the next run goes on. `told(number, last)` after each step.
    """
    newest: int = Log.objects.aggregate(last=Max("pk"))["last"] or 0
    state, _ = UsageCatchUp.objects.get_or_create(pk=1, defaults={"started_at": int(time.time())})
    if state.last_id >= newest or pause(GRACE):
        return 0
    added, seen = 0, state.last_id
    while seen < newest:
        upto = _end_of_step(seen, newest)
        lines = Log.objects.filter(pk__gt=seen, pk__lte=upto, type=LogType.CONSUME, status=0)
        rows = list(lines.order_by("pk").values_list(*COLUMNS))
        if not _add(rows, seen, upto):
            log.info("usage: another process adds the lines of before")
            return added
        added, seen = added + len(rows), upto
        told(seen, newest)
        if pause(0):
            break
    return added


def scheduled(context: Context) -> None:
    """The frequent run (jobs.table)."""
    added = catch_up(context.pause, lambda seen, newest: context.report({"line": seen, "of": newest}))
    context.report({"added": added}, now=True)


def _end_of_step(seen: int, newest: int) -> int:
    """The number up to which there are STEP lines more; numbers have gaps."""
    numbers = Log.objects.filter(pk__gt=seen, pk__lte=newest).order_by("pk").values_list("pk", flat=True)
    return next(iter(numbers[STEP - 1 : STEP]), newest)


def _add(rows: list[tuple[Any, ...]], seen: int, upto: int) -> bool:
    """In one transaction with the move from `seen` to `upto`; False, and nothing is done, where somebody else moved."""
    with transaction.atomic(durable=True):
        moved = UsageCatchUp.objects.filter(pk=1, last_id=seen).update(last_id=upto, lines=F("lines") + len(rows))
        if not moved:
            return False
        if rows:
            _into_sums(rows)
    return True


def add_late(lines: Sequence[Mapping[str, Any]]) -> None:
    """Add those of these new lines whose numbers have been passed already, in the caller's transaction.

    An import that brings older lines after newer ones gives them the numbers they had.
    """
    state = UsageCatchUp.objects.select_for_update().filter(pk=1).first()
    if state is None:
        return
    usual = Log()
    rows = [
        tuple(line.get(column, getattr(usual, column)) for column in COLUMNS)
        for line in lines
        if line["id"] <= state.last_id and line["type"] == LogType.CONSUME
    ]
    if rows:
        UsageCatchUp.objects.filter(pk=1).update(lines=F("lines") + len(rows))
        _into_sums(rows)


def _into_sums(rows: list[tuple[Any, ...]]) -> None:
    moments = [row[COLUMNS.index("created_at")] for row in rows]
    UsageCatchUp.objects.filter(pk=1, newest__lt=max(moments)).update(newest=max(moments))
    stale = Least(F("weeks_until"), monday_of(min(moments)))
    UsageCatchUp.objects.filter(pk=1).update(weeks_until=stale)
    with open_cursor() as cursor:
        for table, period, length in PERIODS:
            upsert(cursor, table, period, _sums(rows, length))


def _sums(rows: list[tuple[Any, ...]], length: int) -> Sums:
    sums: Sums = defaultdict(lambda: [0] * 7)
    for user_id, token_id, channel_id, model, group, created, error, prompt, completion, parts, quota, elapsed in rows:
        into = sums[created - created % length, *Of(user_id, token_id, channel_id, model, group)]
        numbers = (1, 1 if error else 0, _tokens(prompt), _tokens(completion), _cached(parts), quota, max(elapsed, 0))
        for i, number in enumerate(numbers):
            into[i] += number
    return sums


def _tokens(count: int) -> int:
    return min(max(count, 0), MOST_TOKENS)


def _cached(parts: str) -> int:
    """Of `usage_details`; an import may have brought anything."""
    if not parts:
        return 0
    try:
        cached = json.loads(parts).get("cached", 0)
    except (ValueError, AttributeError):
        return 0
    return _tokens(cached) if isinstance(cached, int) else 0
