"""The log as the console reads it: filtered, a page at a time, summed up, and as a whole for a file.

Pages are cut at lines and not at how many there are before: none is counted past, however far back one looks. The log
may live in a database of its own, so names of users and keys are looked up before, not joined.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from django.db.models import Count, Q, QuerySet, Sum
from django.db.models.functions import Lower

from accounts.models import Token, User
from billing.models import Log, LogType

PAGE = 20  # lines
MOST_COUNTED = 10_000
CHUNK = 1000  # lines that an export reads at a time
SUMMED = ("prompt_tokens", "completion_tokens", "cached_tokens", "quota")
RESPONSES = 200  # of a session that are found by its id
CALLS = (LogType.CONSUME, LogType.ERROR)
NEAR = 10_000  # lines that are looked through before those further back; most pages are found there


class Outcome(StrEnum):
    OK = "ok"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class LogQuery:
    """What is asked for; empty values ask for nothing. Times are Unix seconds, `start` included, `end` not.

    Ordinary users are given `user_id`, and what they type never widens it.
    """

    types: Sequence[int] = ()
    models: Sequence[str] = ()
    user_id: int = 0
    username: str = ""
    token_id: int = 0
    token_name: str = ""
    channel_id: int = 0
    group: str = ""
    outcome: Outcome | None = None  # of calls: lines that are no call are neither
    stream: bool | None = None
    request_id: str = ""  # of a call, or of a session and all its calls
    ip: str = ""
    text: str = ""  # anywhere in the content, in any case; % and _ stand for themselves
    start: int = 0
    end: int = 0

    def rows(self) -> QuerySet[Log]:
        """Newest first."""
        rows = Log.objects.filter(self.q()).order_by("-created_at", "-pk")
        if self.text:  # not `icontains`: MySQL goes by its collation, which may tell capitals apart
            rows = rows.alias(lowered=Lower("content")).filter(lowered__contains=self.text.lower())
        return rows

    def q(self) -> Q:
        """All but the text."""
        exact = {
            "user_id": self.user_id,
            "token_id": self.token_id,
            "token_name": self.token_name,
            "channel_id": self.channel_id,
            "group": self.group,
            "ip": self.ip,
            "created_at__gte": self.start,
            "created_at__lt": self.end,
        }
        wanted = Q(**{name: value for name, value in exact.items() if value})
        if self.types:
            wanted &= _one_of("type", self.types)
        if self.models:
            wanted &= _one_of("model_name", self.models)
        if self.username:
            wanted &= _named(self.username)
        if self.token_id:  # the index is by user
            wanted &= _owner(self.token_id)
        if self.outcome is not None:
            failed = self.outcome is Outcome.ERROR
            wanted &= Q(type__in=CALLS, error_code__gt="") if failed else Q(type=LogType.CONSUME, error_code="")
        if self.stream is not None:
            wanted &= Q(type__in=CALLS, is_stream=self.stream)
        if self.request_id:
            wanted &= Q(request_id__in=[self.request_id, *(f"{self.request_id}-{i}" for i in range(1, RESPONSES))])
        return wanted


@dataclass(frozen=True, slots=True)
class Page:
    """Newest first. `older` and `newer`: whether there are lines before and after these."""

    rows: list[Log]
    older: bool
    newer: bool

    @property
    def before(self) -> int:
        """What to ask for to see the lines before these."""
        return self.rows[-1].pk if self.rows else 0

    @property
    def after(self) -> int:
        return self.rows[0].pk if self.rows else 0


@dataclass(frozen=True, slots=True)
class Summary:
    """Of calls alone, whatever other lines the query shows."""

    requests: int = 0
    errors: int = 0  # of these
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cached_tokens: int = 0
    quota: int = 0  # points

    @property
    def error_share(self) -> float:
        """0.0 to 1.0."""
        return self.errors / self.requests if self.requests else 0.0


@dataclass(frozen=True, slots=True)
class Counted:
    """`more`: there are more than these."""

    rows: int
    more: bool


def page(query: LogQuery, *, before: int = 0, after: int = 0, limit: int = PAGE) -> Page:
    """The newest `limit` lines; with `before` those older than that line, with `after` the next ones newer than it."""
    rows = query.rows()
    if after:
        found = list(rows.filter(_newer_than(_place(after))).reverse()[: limit + 1])
        older = rows.filter(_older_than(_place(after)) | Q(pk=after)).exists()
        return Page(found[:limit][::-1], older=older, newer=len(found) > limit)
    place = _place(before) if before else None
    found = _newest(query, place, limit + 1)
    newer = place is not None and rows.filter(_newer_than(place) | Q(pk=before)).exists()
    return Page(found[:limit], older=len(found) > limit, newer=newer)


def count(query: LogQuery, *, most: int = MOST_COUNTED) -> Counted:
    """How many lines there are, counted no further than `most`."""
    rows = query.rows().order_by()[: most + 1].count()
    return Counted(min(rows, most), rows > most)


def summary(query: LogQuery) -> Summary:
    is_call = Q(type__in=CALLS)  # not a filter of the rows: a database without statistics would think it a narrow one
    sums = {f"all_{name}": Sum(name, filter=is_call) for name in SUMMED}
    counts = {"calls": Count("pk", filter=is_call), "failed": Count("pk", filter=is_call & Q(error_code__gt=""))}
    row = query.rows().order_by().aggregate(**counts, **sums)
    return Summary(row["calls"], row["failed"], **{name: int(row[f"all_{name}"] or 0) for name in SUMMED})


def export(query: LogQuery, *, limit: int | None = None) -> Iterator[Log]:
    """Newest first, however many: a chunk at a time, so that no page of memory and no snapshot is held for long."""
    place: Place | None = None
    left = limit
    while left is None or left > 0:
        chunk = CHUNK if left is None else min(CHUNK, left)
        found = _newest(query, place, chunk)
        yield from found
        if len(found) < chunk:
            return
        place, left = Place(found[-1].created_at, found[-1].pk), None if left is None else left - chunk


def attempts_of(request_id: str, user_id: int = 0) -> list[Log]:
    """Every line of one request: the call itself, or a session with its responses; oldest first."""
    return list(LogQuery(request_id=request_id, user_id=user_id).rows().reverse()[:CHUNK])


@dataclass(frozen=True, slots=True)
class Place:
    """Where a line stands in the order of the log."""

    created_at: int
    pk: int


def _place(pk: int) -> Place:
    """Of a line that may have been deleted meanwhile: then where the next older one stands."""
    row = Log.objects.filter(pk__lte=pk).order_by("-pk").values_list("created_at", flat=True).first()
    return Place(row or 0, pk)


def _older_than(place: Place) -> Q:
    """The first part is what an index is used for."""
    return Q(created_at__lte=place.created_at) & (Q(created_at__lt=place.created_at) | Q(pk__lt=place.pk))


def _newer_than(place: Place) -> Q:
    return Q(created_at__gte=place.created_at) & (Q(created_at__gt=place.created_at) | Q(pk__gt=place.pk))


def _newest(query: LogQuery, place: Place | None, limit: int) -> list[Log]:
    """The first lines older than `place`, looked for among the newest ones first.

    A database that judges by its statistics, or has none, may otherwise sort all lines of a filter that fits many.
    """
    rows, near = query.rows(), Log.objects.order_by("-created_at").values_list("created_at", flat=True)
    if place is not None:
        rows, near = rows.filter(_older_than(place)), near.filter(created_at__lte=place.created_at)
    if query.end:
        near = near.filter(created_at__lt=query.end)
    split = next(iter(near[NEAR : NEAR + 1]), None)
    if split is None:
        return list(rows[:limit])
    found = list(rows.filter(created_at__gte=split)[:limit])
    if len(found) < limit:
        found += rows.filter(created_at__lt=split)[: limit - len(found)]
    return found


def _one_of(name: str, several: Sequence[int] | Sequence[str]) -> Q:
    return Q(**{name: several[0]}) if len(several) == 1 else Q(**{f"{name}__in": several})


def _named(username: str) -> Q:
    """By the account where there is one, since the index is; lines of a deleted account are found by its name."""
    known = User.objects.filter(username=username).values_list("pk", flat=True).first()
    return Q(username=username) if known is None else Q(user_id=known)


def _owner(token_id: int) -> Q:
    known = Token.objects.filter(pk=token_id).values_list("user_id", flat=True).first()
    return Q() if known is None else Q(user_id=known)
