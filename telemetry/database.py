"""Figures that only the database knows. The same on every node, so a dashboard takes the largest and not the sum."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.db.models import Count, Min, Sum

from billing.models import Hold, LogOutbox
from channels_app.models import Channel
from telemetry.asking import Question
from telemetry.text import Metric

FRESH = 5.0  # seconds an answer is told again
PATIENCE = 1.0  # seconds the page waits for one
STATUSES = {1: "enabled", 2: "disabled", 3: "disabled_by_gateway"}


@dataclass(frozen=True, slots=True)
class Told:
    """Ages in seconds, 0 where there is nothing. `backlog`: log rows on their way to LOG_SQL_DSN."""

    holds: int
    held: int
    oldest_hold: int
    backlog: int
    oldest_backlog: int
    channels: dict[str, int]


def _ask() -> Told:
    now = int(time.time())
    holds = Hold.objects.aggregate(n=Count("pk"), points=Sum("amount"), first=Min("created_at"))
    apart = settings.LOG_DATABASE_ALIAS != "default"
    waiting: dict[str, Any] = {"n": 0, "first": None}
    if apart:
        waiting = LogOutbox.objects.aggregate(n=Count("pk"), first=Min("created_at"))
    channels = dict.fromkeys(STATUSES.values(), 0)
    for status, number in Channel.objects.order_by().values_list("status").annotate(Count("pk")):
        name = STATUSES.get(status, "disabled")
        channels[name] += number
    return Told(
        holds["n"],
        holds["points"] or 0,
        _age(now, holds["first"]),
        waiting["n"],
        _age(now, waiting["first"]),
        channels,
    )


def _age(now: int, first: int | None) -> int:
    return max(0, now - first) if first else 0


question = Question("figures", _ask, FRESH)


def metrics() -> list[Metric]:
    told = question.answer(PATIENCE)
    up = Metric("one_api_database_up", "gauge", "Whether the database answered; where not, its figures are left out.")
    up.add(told is not None)
    if told is None:
        return [up]
    found = [up]
    for name, text, value in (
        ("one_api_holds_open", "Holds of calls under way, in the whole deployment.", told.holds),
        ("one_api_holds_points", "Points they hold.", told.held),
        ("one_api_hold_oldest_age_seconds", "Age of the oldest of them.", told.oldest_hold),
        ("one_api_log_backlog_rows", "Log rows on their way to the log database.", told.backlog),
        ("one_api_log_backlog_oldest_age_seconds", "Age of the oldest of them.", told.oldest_backlog),
    ):
        metric = Metric(name, "gauge", text)
        metric.add(value)
        found.append(metric)
    channels = Metric("one_api_channels", "gauge", "Channels, by status.")
    for status, number in told.channels.items():
        channels.add(number, status=status)
    return [*found, channels]
