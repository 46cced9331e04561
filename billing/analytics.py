"""What was used, by time, model, key, user, channel and group: answers for charts and rankings, from the sums of usage.

Times are Unix seconds; a range begins with the hour that holds its start and ends before its end. Sums are kept by UTC
hour and day, and by weeks for what concerns everybody and one column at most: where a zone is off by half an hour, an
hour belongs to the local day in which it begins, and weeks are made of UTC days. Only `recent_rate` looks at the log,
since five minutes are less than an hour.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Collection, Iterator
from dataclasses import dataclass, fields
from datetime import UTC, date, datetime, timedelta, tzinfo
from enum import StrEnum
from typing import Any

from django.db.models import F, Q, Sum

from accounts.models import Token, User
from billing.models import Log, LogType, UsageDay, UsageHour, UsageWeek
from billing.usage_weeks import ALL, summed_until
from channels_app.models import Channel

HOUR, DAY, WEEK = 3600, 86_400, 604_800  # seconds
LONGEST = 366 * DAY + HOUR  # a year of 366 days, and the hour in which a clock is put back
MONDAY = 3 * DAY  # the epoch began on a Thursday: from so long before it on, weeks are whole
EPOCH = date(1970, 1, 1).toordinal()
RECENT = 300  # seconds of which requests a minute are told


class RangeNotUsable(ValueError):
    """The range ends before it begins, or is longer than a year."""


class Metric(StrEnum):
    QUOTA = "quota"  # points
    REQUESTS = "requests"
    ERRORS = "errors"
    TOKENS = "tokens"  # of prompt and completion
    CACHED_TOKENS = "cached_tokens"


class Grain(StrEnum):
    HOUR = "hour"
    DAY = "day"
    WEEK = "week"


class By(StrEnum):
    """What a chart is split by; the value is the column of the sums."""

    MODEL = "model_name"
    TOKEN = "token_id"  # noqa: S105
    USER = "user_id"
    CHANNEL = "channel_id"
    GROUP = "group"


Key = int | str


@dataclass(frozen=True, slots=True)
class UsageFilter:
    """`start` included, `end` not; None asks for nothing. Raises RangeNotUsable."""

    start: int
    end: int
    user_id: int | None = None
    token_id: int | None = None
    channel_id: int | None = None
    model_name: str | None = None
    group: str | None = None

    def __post_init__(self) -> None:
        if not 0 < self.end - self.start <= LONGEST:
            raise RangeNotUsable(f"{self.start} to {self.end}")

    @property
    def q(self) -> Q:
        """All but the range."""
        exact = {by.value: getattr(self, by.value) for by in By}
        return Q(**{name: value for name, value in exact.items() if value is not None})


@dataclass(frozen=True, slots=True)
class Totals:
    requests: int = 0
    errors: int = 0  # of these
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cached_tokens: int = 0  # of the prompt
    quota: int = 0  # points
    elapsed: int = 0  # milliseconds, all requests together

    @property
    def tokens(self) -> int:
        return self.prompt_tokens + self.completion_tokens

    @property
    def error_share(self) -> float:
        """0.0 to 1.0."""
        return self.errors / self.requests if self.requests else 0.0

    def of(self, metric: Metric) -> int:
        return int(getattr(self, metric.value))


@dataclass(frozen=True, slots=True)
class Rank:
    key: Key
    totals: Totals


@dataclass(frozen=True, slots=True)
class Line:
    """`key` is the model, group or id it is for; None is everything else, or everything. One point a bucket."""

    key: Key | None
    points: tuple[int, ...]

    @property
    def total(self) -> int:
        return sum(self.points)


@dataclass(frozen=True, slots=True)
class Series:
    """`buckets` are the moments they begin at; the biggest line comes first, everything else last."""

    grain: Grain
    buckets: tuple[int, ...]
    lines: tuple[Line, ...]


@dataclass(frozen=True, slots=True)
class RecentRate:
    """`requests` and `errors` are of this hour so far and the one before, from `since` on."""

    requests_per_minute: float
    requests: int
    errors: int
    since: int

    @property
    def error_share(self) -> float:
        return self.errors / self.requests if self.requests else 0.0


@dataclass(frozen=True, slots=True)
class _Piece:
    """A part of a range that one table answers. `period` is the table's column of time."""

    model: Any
    period: str
    start: int
    end: int
    side: str = ""  # of UsageWeek

    def rows(self, wanted: UsageFilter) -> Any:
        within: dict[str, Any] = {f"{self.period}__gte": self.start, f"{self.period}__lt": self.end}
        if self.side:
            within["side"] = self.side
        return self.model.objects.filter(wanted.q, **within).order_by()


NAMES = tuple(field.name for field in fields(Totals))
_COLUMNS = {
    Metric.QUOTA: F("quota"),
    Metric.REQUESTS: F("requests"),
    Metric.ERRORS: F("errors"),
    Metric.TOKENS: F("prompt_tokens") + F("completion_tokens"),
    Metric.CACHED_TOKENS: F("cached_tokens"),
}


def grain_of(wanted: UsageFilter) -> Grain:
    """Hours up to two days, days up to 90, else weeks."""
    length = wanted.end - wanted.start
    if length <= 2 * DAY:
        return Grain.HOUR
    return Grain.DAY if length <= 90 * DAY + HOUR else Grain.WEEK


def series(
    wanted: UsageFilter,
    metric: Metric,
    *,
    by: By | None = None,
    grain: Grain | None = None,
    zone: tzinfo = UTC,
    most: int = 10,
) -> Series:
    """A point for each bucket of the range, also where nothing was used. `most` lines; the others are one, key None.

    Buckets are cut in the viewer's `zone`; the first may have begun before the range.
    """
    grain = grain or grain_of(wanted)
    starts = _buckets(wanted, grain, zone)
    place = {number: i for i, number in enumerate(starts)}
    found: dict[Key | None, list[int]] = defaultdict(lambda: [0] * len(place))
    for number, key, total in _points(wanted, metric, by, grain, zone):
        found[key][place.get(number, len(place) - 1)] += total
    ranked = sorted(found, key=lambda key: (-sum(found[key]), str(key)))
    lines = [Line(key, tuple(found[key])) for key in ranked[:most]]
    if rest := ranked[most:]:
        lines.append(Line(None, tuple(map(sum, zip(*(found[key] for key in rest), strict=True)))))
    if by is None and not lines:
        lines = [Line(None, (0,) * len(place))]
    return Series(grain, tuple(starts.values()), tuple(lines))


def totals(wanted: UsageFilter) -> Totals:
    sums = dict.fromkeys(NAMES, 0)
    for piece in _pieces(wanted, _side(wanted)):
        row = piece.rows(wanted).aggregate(**{f"all_{name}": Sum(name) for name in NAMES})
        for name in NAMES:
            sums[name] += int(row[f"all_{name}"] or 0)
    return Totals(**sums)


def ranking(wanted: UsageFilter, by: By, metric: Metric, *, limit: int = 10, ascending: bool = False) -> list[Rank]:
    """The `limit` keys with most of it (`ascending`: least), of those that made any request."""
    sums: dict[Key, list[int]] = defaultdict(lambda: [0] * len(NAMES))
    for piece in _pieces(wanted, _side(wanted, by)):
        rows = piece.rows(wanted).values_list(by.value).annotate(**{f"all_{name}": Sum(name) for name in NAMES})
        for key, *numbers in rows.iterator():
            into = sums[key]
            for i, number in enumerate(numbers):
                into[i] += int(number)
    ranks = [Rank(key, Totals(*numbers)) for key, numbers in sums.items()]
    sign = 1 if ascending else -1
    ranks.sort(key=lambda rank: (sign * rank.totals.of(metric), str(rank.key)))
    return ranks[:limit]


def labels(by: By, keys: Collection[Key | None]) -> dict[Key, str]:
    """Names of users, keys and channels by id, as they are called now; those deleted lack. Models are their own."""
    known = {key for key in keys if key is not None}
    match by:
        case By.USER:
            return dict(User.objects.filter(pk__in=known).values_list("pk", "username"))
        case By.TOKEN:
            return dict(Token.objects.filter(pk__in=known).values_list("pk", "name"))
        case By.CHANNEL:
            return dict(Channel.objects.filter(pk__in=known).values_list("pk", "name"))
    return {key: str(key) for key in known}


def recent_rate(now: float | None = None) -> RecentRate:
    """How busy the gateway is: calls a minute over the last five (by their log lines), errors of about an hour."""
    moment = int(time.time() if now is None else now)
    calls = Log.objects.filter(created_at__gt=moment - RECENT, type__in=(LogType.CONSUME, LogType.ERROR)).count()
    since = moment - moment % HOUR - HOUR
    hours = totals(UsageFilter(since, moment + 1))
    return RecentRate(calls * 60 / RECENT, hours.requests, hours.errors, since)


# --- pieces of a range --------------------------------------------------------------------------------------------


def _side(wanted: UsageFilter, by: By | None = None) -> str:
    """The side of the weeks that can answer; "" where none can, and for one user, whose days an index finds sooner."""
    columns = {one.value for one in By if one is by or getattr(wanted, one.value) is not None}
    if len(columns) > 1 or wanted.user_id is not None:
        return ""
    return columns.pop() if columns else ALL


def _pieces(wanted: UsageFilter, side: str = "") -> list[_Piece]:
    """Whole UTC days by the day, what is left at both ends by the hour; weeks by their side, where there is one."""
    start, end = wanted.start - wanted.start % HOUR, wanted.end
    first, last = -(-start // DAY) * DAY, end - end % DAY
    if first >= last:
        return [_Piece(UsageHour, "hour", start, end)]
    monday, until = first + -(first + MONDAY) % WEEK, last - (last + MONDAY) % WEEK
    if side and monday < until:
        until = min(until, summed_until())
    if not side or monday >= until:
        monday = until = last
    pieces = [
        _Piece(UsageHour, "hour", start, first),
        _Piece(UsageDay, "day", first, monday),
        _Piece(UsageWeek, "week", monday, until, side),
        _Piece(UsageDay, "day", until, last),
        _Piece(UsageHour, "hour", last, end),
    ]
    return [piece for piece in pieces if piece.start < piece.end]


def _points(
    wanted: UsageFilter, metric: Metric, by: By | None, grain: Grain, zone: tzinfo
) -> Iterator[tuple[int, Key | None, int]]:
    """(number of the bucket as in _buckets, key, sum)."""
    start = wanted.start - wanted.start % HOUR
    by_hour = [_Piece(UsageHour, "hour", start, wanted.end)]
    match grain:
        case Grain.HOUR:
            parts = [(piece, 0, HOUR, 0) for piece in by_hour]
        case Grain.WEEK:
            parts = [(piece, 0, WEEK, MONDAY) for piece in _pieces(wanted, _side(wanted, by))]
        case Grain.DAY:
            spans = list(_offsets(start, wanted.end, zone))
            if [offset for _, _, offset in spans] == [0]:
                parts = [(piece, 0, DAY, 0) for piece in _pieces(wanted)]
            else:
                parts = [(_Piece(UsageHour, "hour", a, b), offset, DAY, 0) for a, b, offset in spans]
    for piece, offset, length, ahead in parts:
        local = F(piece.period) + offset
        bucket = local - (local + ahead) % length
        names = ("number",) if by is None else ("number", by.value)
        total = _COLUMNS[metric] if piece.side else Sum(_COLUMNS[metric])  # of a week there is one row for each key
        rows = piece.rows(wanted).annotate(number=bucket).values_list(*names).annotate(total=total)
        for row in rows.iterator():
            yield row[0], row[1] if by is not None else None, int(row[-1])


def _offsets(start: int, end: int, zone: tzinfo) -> Iterator[tuple[int, int, int]]:
    """The range in spans of one offset from UTC each: (start, end, seconds). Clocks are changed on the hour."""
    begin, moment, offset = start, start, _offset(start, zone)
    while moment < end:
        if _offset(moment, zone) != offset:
            yield begin, moment, offset
            begin, offset = moment, _offset(moment, zone)
        moment += HOUR
    yield begin, end, offset


def _offset(moment: int, zone: tzinfo) -> int:
    delta = datetime.fromtimestamp(moment, zone).utcoffset()
    return int((delta or timedelta()).total_seconds())


def _buckets(wanted: UsageFilter, grain: Grain, zone: tzinfo) -> dict[int, int]:
    """Number of each bucket -> the moment it begins at. A number is the bucket's local time, as if that were UTC."""
    start = wanted.start - wanted.start % HOUR
    if grain is Grain.HOUR:
        return {moment: moment for moment in range(start, wanted.end, HOUR)}
    if grain is Grain.WEEK:
        first = start - (start + MONDAY) % WEEK
        return {number: _midnight(number, zone) for number in range(first, wanted.end, WEEK)}
    first, last = (moment + _offset(moment, zone) for moment in (start, wanted.end - 1))
    return {number: _midnight(number, zone) for number in range(first - first % DAY, last + 1, DAY)}


def _midnight(number: int, zone: tzinfo) -> int:
    """When the day of this number begins in the zone."""
    day = date.fromordinal(EPOCH + number // DAY)
    return int(datetime(day.year, day.month, day.day, tzinfo=zone).timestamp())
