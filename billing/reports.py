"""Reading the log: filters, sums, a user's last days, and purging. The log may live in a database of its own."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from django.db.models import Count, F, Q, QuerySet, Sum

from audit.services import Actor, record
from billing.models import Log, LogType

DAY = 86_400  # seconds
DASHBOARD_DAYS = 7
PURGE_BATCH = 1000  # rows of one DELETE


@dataclass(frozen=True)
class LogFilter:
    """What a query asks for; 0 and "" ask for nothing, and failed calls are shown only if their type is asked for.

    Times are unix seconds, both included.
    """

    type: int = 0
    start: int = 0
    end: int = 0
    model_name: str = ""
    username: str = ""
    token_name: str = ""
    channel_id: int = 0

    def rows(self, user_id: int | None = None) -> QuerySet[Log]:
        """Newest first; `user_id` None is everybody's."""
        wanted = Q() if user_id is None else Q(user_id=user_id)
        exact = {
            "type": self.type,
            "created_at__gte": self.start,
            "created_at__lte": self.end,
            "model_name": self.model_name,
            "username": self.username,
            "token_name": self.token_name,
            "channel_id": self.channel_id,
        }
        wanted &= Q(**{name: value for name, value in exact.items() if value})
        if not self.type:
            wanted &= ~Q(type=LogType.ERROR)
        return Log.objects.filter(wanted).order_by("-id")


def quota_sum(wanted: LogFilter, user_id: int | None = None) -> int:
    """Points of the rows asked for; of consumption where no type is asked for."""
    rows = wanted.rows(user_id)
    if not wanted.type:
        rows = rows.filter(type=LogType.CONSUME)
    return int(rows.order_by().aggregate(total=Sum("quota"))["total"] or 0)


def search(keyword: str, user_id: int | None = None) -> QuerySet[Log]:
    """Rows whose type is the keyword, or whose content begins with it (no failed calls); newest first."""
    wanted = Q(content__startswith=keyword) & ~Q(type=LogType.ERROR)
    if keyword.isdecimal() and len(keyword) < 5:
        wanted |= Q(type=int(keyword))
    rows = Log.objects.filter(wanted) if user_id is None else Log.objects.filter(wanted, user_id=user_id)
    return rows.order_by("-id")


@dataclass(frozen=True)
class DayOfModel:
    day: str  # YYYY-MM-DD, UTC
    model_name: str
    requests: int
    quota: int
    prompt_tokens: int
    completion_tokens: int


def last_days(user_id: int, now: float | None = None) -> Iterator[DayOfModel]:
    """The user's consumption of today and the six days before, by UTC day and model."""
    today = int(now or time.time()) // DAY * DAY
    days = (
        Log.objects.filter(
            user_id=user_id,
            type=LogType.CONSUME,
            created_at__gte=today - (DASHBOARD_DAYS - 1) * DAY,
            created_at__lt=today + DAY,
        )
        # Integers only: the three databases agree on `%`, and on nothing about dates.
        .values("model_name", midnight=F("created_at") - F("created_at") % DAY)
        .annotate(
            requests=Count("id"),
            total=Sum("quota"),
            prompt=Sum("prompt_tokens"),
            completion=Sum("completion_tokens"),
        )
        .order_by("midnight", "model_name")
    )
    for row in days:
        yield DayOfModel(
            day=datetime.fromtimestamp(row["midnight"], UTC).strftime("%Y-%m-%d"),
            model_name=row["model_name"],
            requests=row["requests"],
            quota=int(row["total"]),
            prompt_tokens=int(row["prompt"]),
            completion_tokens=int(row["completion"]),
        )


def older_than(before: int) -> int:
    """How many rows `purge` would delete."""
    return Log.objects.filter(created_at__lt=before).count()


def purge(actor: Actor, before: int) -> int:
    """Delete log rows written before this second; returns how many. In batches, so that nobody waits for a lock."""
    old: Any = Log.objects.filter(created_at__lt=before).order_by("pk").values_list("pk", flat=True)
    purged = 0
    while ids := list(old[:PURGE_BATCH]):
        Log.objects.filter(pk__in=ids).delete()
        purged += len(ids)
    record(actor, "log.purge", "logs", before=before, rows=purged)
    return purged
