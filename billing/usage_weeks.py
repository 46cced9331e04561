"""Sums of usage over whole weeks by one column alone: a year over everybody is some thousand rows, not a million.

A week is made from its days once it ended a day ago or earlier: whoever settles writes into the day that is on. What
writes into earlier days (billing.usage_catch_up) moves UsageCatchUp.weeks_until back to their week in its own
transaction. That row's lock puts both in turn, so weeks before it always are what their days are. Should a clock have
been days behind, the next run finds the week by its requests, of which every call brings one.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from django.db import connection, transaction
from django.db.models import F, Min, Sum
from django.db.models.functions import Least

from billing.batch.rollups import OF, SUMS
from billing.batch.sql import open_cursor
from billing.models import UsageCatchUp, UsageDay, UsageWeek
from jobs.running import Context

DAY, WEEK = 86_400, 604_800  # seconds
MONDAY = 3 * DAY  # the epoch began on a Thursday
ALL = "all"
NAMES = ("model_name", "group")  # columns of text, "" where they do not count


def monday_of(moment: int) -> int:
    """When the week of this moment began in UTC."""
    return moment - (moment + MONDAY) % WEEK


def summed_until(now: float | None = None) -> int:
    """A Monday; every week before it can be read from UsageWeek. Never one that ended less than a day ago."""
    state = UsageCatchUp.objects.filter(pk=1).values_list("weeks_until", flat=True).first()
    return min(state or 0, _ended(now))


def sum_up(pause: Callable[[float], bool], now: float | None = None) -> int:
    """Make every week that is due, one transaction each; returns how many. `pause(0)` is True to end early.

    Nothing before earlier calls have been looked for the first time, since most weeks would be made twice.
    """
    if not UsageCatchUp.objects.filter(pk=1).exists():
        return 0
    _find_stale(summed_until(now))
    made = 0
    while not pause(0) and _next(_ended(now)):
        made += 1
    return made


def scheduled(context: Context) -> None:
    """The frequent run (jobs.table)."""
    context.report({"weeks": sum_up(context.pause)}, now=True)


def _ended(now: float | None) -> int:
    return monday_of(int(time.time() if now is None else now) - DAY)


def _find_stale(until: int) -> None:
    """Go back to the first week whose days have got more requests than when it was made."""
    weeks = UsageWeek.objects.filter(side=ALL, week__lt=until)
    made = dict(weeks.values_list("week").annotate(total=Sum("requests")).order_by())
    days = UsageDay.objects.filter(day__lt=until).values_list("day").annotate(total=Sum("requests")).order_by()
    for day, requests in days:
        made[monday_of(day)] = made.get(monday_of(day), 0) - requests
    stale = [week for week, rest in made.items() if rest]
    if stale:
        UsageCatchUp.objects.filter(pk=1).update(weeks_until=Least(F("weeks_until"), min(stale)))


def _next(end: int) -> bool:
    """Make the next week that has days, before `end`; False where there is none.

    What is to be made is looked up after the lock was taken: days that come in between are in the week, or after us.
    """
    with transaction.atomic(durable=True):
        since = UsageCatchUp.objects.select_for_update().get(pk=1).weeks_until
        day = UsageDay.objects.filter(day__gte=since, day__lt=end).aggregate(first=Min("day"))["first"]
        if day is None:
            return False
        week = monday_of(day)
        UsageWeek.objects.filter(week__gte=since, week__lte=week).delete()
        with open_cursor() as cursor:
            for side in (ALL, *OF):
                _make(cursor, week, side)
        UsageCatchUp.objects.filter(pk=1).update(weeks_until=week + WEEK)
    return True


def _make(cursor: Any, week: int, side: str) -> None:
    quote = connection.ops.quote_name
    columns = ", ".join(quote(name) for name in ("week", "side", *OF, *SUMS))
    keys = ", ".join(quote(name) if name == side else "''" if name in NAMES else "0" for name in OF)
    sums = ", ".join(f"SUM({name})" for name in SUMS)
    grouped = "" if side == ALL else f" GROUP BY {quote(side)}"
    cursor.execute(
        f"INSERT INTO usage_weeks ({columns}) SELECT %s, %s, {keys}, {sums} FROM usage_days"  # noqa: S608
        f" WHERE day >= %s AND day < %s{grouped}",
        (week, side, week, week + WEEK),
    )
