"""Limits as "at most N in D seconds for one subject", and where they are counted (management contract, 1.9).

With Redis all nodes share one sliding log. Without it, limits that protect credentials are counted in the database
(a window that starts with the first hit), the coarse one in each worker's memory, where it is N for every worker.
A limit of 0 is none. Refused hits are not counted.
"""

from __future__ import annotations

import hashlib
import threading
import time
from collections import deque
from dataclasses import dataclass
from typing import Protocol

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import F

from api.models import RateWindow

PRUNE_EVERY = 1024  # hits between two looks for idle subjects
KEEP = 24 * 3600  # seconds a counter's row stays, by the daily run of accounts.housekeeping; longer than any window


@dataclass(frozen=True)
class Limit:
    mark: str
    count: int
    seconds: int

    def key(self, subject: str) -> str:
        """Subjects may be names or addresses; their digest is enough to count by."""
        return f"{self.mark}:{hashlib.sha256(subject.encode()).hexdigest()}"


class TooMany(Exception):
    """A limit refuses: 429 with an empty body."""


class Windows(Protocol):
    def allows(self, limit: Limit, subject: str, *, count: bool = True) -> bool:
        """Whether there is room for one more, which is counted with it unless `count` is False."""


class MemoryWindows:
    """A sliding log of one process, for all threads."""

    def __init__(self) -> None:
        self._hits: dict[str, deque[float]] = {}
        self._until: dict[str, float] = {}
        self._lock = threading.Lock()
        self._since_prune = 0

    def allows(self, limit: Limit, subject: str, *, count: bool = True) -> bool:
        now, key = time.monotonic(), limit.key(subject)
        with self._lock:
            hits = self._hits.get(key)
            if hits is not None and len(hits) >= limit.count and now - hits[-limit.count] < limit.seconds:
                return False
            if count:
                if hits is None:
                    hits = self._hits[key] = deque(maxlen=limit.count)
                hits.append(now)
                self._until[key] = now + limit.seconds
                self._prune(now)
        return True

    def _prune(self, now: float) -> None:
        self._since_prune += 1
        if self._since_prune < PRUNE_EVERY:
            return
        self._since_prune = 0
        for key in [key for key, until in self._until.items() if until <= now]:
            del self._hits[key], self._until[key]


class DatabaseWindows:
    """One row for a subject; conditional updates decide, so that two at once are two."""

    def allows(self, limit: Limit, subject: str, *, count: bool = True) -> bool:
        now, key = int(time.time()), limit.key(subject)
        rows = RateWindow.objects.filter(key=key)
        open_since = now - limit.seconds
        if not count:
            return not rows.filter(started__gt=open_since, count__gte=limit.count).exists()
        for _attempt in range(5):
            if rows.filter(started__gt=open_since, count__lt=limit.count).update(count=F("count") + 1):
                return True
            if rows.filter(started__lte=open_since).update(started=now, count=1):
                return True
            if rows.filter(started__gt=open_since, count__gte=limit.count).exists():
                return False
            if rows.exists():  # another has just made it, or begun it anew: there is room
                continue
            try:
                with transaction.atomic():
                    RateWindow.objects.create(key=key, started=now, count=1)
            except IntegrityError:  # another made the row at the same moment
                continue
            return True
        return False


def coarse() -> Windows:
    return _coarse


def exact() -> Windows:
    return _exact


def _with_redis(windows: Windows) -> Windows:
    if settings.REDIS is None:
        return windows
    from api.redis_windows import RedisWindows

    return RedisWindows(settings.REDIS.client, windows)


_coarse = _with_redis(MemoryWindows())
_exact = _with_redis(DatabaseWindows())
