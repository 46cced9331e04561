"""What the dashboard's cards say."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from django.utils import timezone

from accounts.models import User, UserStatus
from billing import analytics
from billing.analytics import HOUR, Grain, Metric, RecentRate, UsageFilter
from channels_app.models import Channel, ChannelStatus
from console.figures.ranges import midnight

SPARK_DAYS = 7
SHOWN = 5  # channels and accounts of a short list


@dataclass(frozen=True)
class Today:
    """Of today so far; the sparks are the last seven days, today last."""

    quota: int
    requests: int
    tokens: int
    quota_spark: Sequence[int]
    request_spark: Sequence[int]
    token_spark: Sequence[int]


def today(user_id: int) -> Today:
    now = int(timezone.now().timestamp())
    first = midnight(timezone.localdate() - timedelta(days=SPARK_DAYS - 1))
    wanted = UsageFilter(first, now - now % HOUR + HOUR, user_id=user_id)
    zone = timezone.get_current_timezone()
    quota, requests, tokens = (
        analytics.series(wanted, metric, grain=Grain.DAY, zone=zone).lines[0].points
        for metric in (Metric.QUOTA, Metric.REQUESTS, Metric.TOKENS)
    )
    return Today(quota[-1], requests[-1], tokens[-1], quota, requests, tokens)


@dataclass(frozen=True)
class Gateway:
    """How the whole gateway is, for operators."""

    rate: RecentRate
    enabled: int
    auto_disabled: int
    disabled: int
    slowest: Sequence[Channel]
    poorest: Sequence[User]


def gateway() -> Gateway:
    statuses = list(Channel.objects.values_list("status", flat=True))
    tested = Channel.objects.filter(status=ChannelStatus.ENABLED, response_time__gt=0)
    return Gateway(
        rate=analytics.recent_rate(),
        enabled=statuses.count(ChannelStatus.ENABLED),
        auto_disabled=statuses.count(ChannelStatus.AUTO_DISABLED),
        disabled=statuses.count(ChannelStatus.DISABLED),
        slowest=list(tested.only("pk", "name", "response_time").order_by("-response_time")[:SHOWN]),
        poorest=list(
            User.objects.filter(status=UserStatus.ENABLED, request_count__gt=0)
            .only("pk", "username", "quota", "held")
            .order_by("quota", "pk")[:SHOWN]
        ),
    )
