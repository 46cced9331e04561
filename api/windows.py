"""Limits as "at most N in D seconds for one subject", and where they are counted (management contract, 1.9).

With Redis all nodes share one sliding log. Without it, limits that protect credentials are counted in the database
(a window that starts with the first hit), the coarse one in each worker's memory, where it is N for every worker.
A limit of 0 is none. Refused hits are not counted.
"""

from __future__ import annotations

import hashlib
import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

import redis
from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import F

from api.models import RateWindow

log = logging.getLogger(__name__)

PRUNE_EVERY = 1024  # hits between two looks for idle subjects
KEEP = 24 * 3600  # seconds a counter's row stays, by the daily run of accounts.housekeeping; longer than any window

# What stands under the key and is no log of ours (another program's, another version's, one of a clock that ran ahead)
# is thrown away.
SLIDE = """
local now = tonumber(ARGV[1])
local kind = redis.call('TYPE', KEYS[1]).ok
local newest = kind == 'list' and tonumber(redis.call('LINDEX', KEYS[1], -1))
if kind ~= 'none' and (not newest or newest > now + 60) then redis.call('DEL', KEYS[1]) end
local first = redis.call('LINDEX', KEYS[1], -tonumber(ARGV[3]))
local full = redis.call('LLEN', KEYS[1]) >= tonumber(ARGV[3])
if full and now - (tonumber(first) or 0) < tonumber(ARGV[2]) then return 0 end
if ARGV[4] == '1' then
  redis.call('RPUSH', KEYS[1], now)
  redis.call('LTRIM', KEYS[1], -tonumber(ARGV[3]), -1)
  redis.call('EXPIRE', KEYS[1], math.ceil(tonumber(ARGV[2])))
end
return 1
"""


@dataclass(frozen=True)
class Limit:
    mark: str
    count: int
    seconds: int

    def key(self, subject: str) -> str:
        """Subjects may be names or addresses; their digest is enough to count by."""
        return f"{self.mark}:{hashlib.sha256(subject.encode()).hexdigest()}"


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


class RedisWindows:
    """A sliding log all nodes share; while Redis is away the fallback counts.

    `connect` gives the process's client, and is asked each time: a cluster's may fail before the first command.
    """

    def __init__(self, connect: Callable[[], redis.Redis], fallback: MemoryWindows | DatabaseWindows) -> None:
        self._connect = connect
        self._fallback = fallback

    def allows(self, limit: Limit, subject: str, *, count: bool = True) -> bool:
        arguments = [time.time(), limit.seconds, limit.count, int(count)]
        try:
            slide = self._connect().register_script(SLIDE)
            return bool(slide(keys=[f"rateLimit:{limit.key(subject)}"], args=arguments))
        except redis.RedisError as error:
            log.warning("rate limits are counted without Redis: %s", error)
            return self._fallback.allows(limit, subject, count=count)


Windows = MemoryWindows | DatabaseWindows | RedisWindows


def coarse() -> Windows:
    return _coarse


def exact() -> Windows:
    return _exact


def _with_redis(windows: MemoryWindows | DatabaseWindows) -> Windows:
    return windows if settings.REDIS is None else RedisWindows(settings.REDIS.client, windows)


_coarse = _with_redis(MemoryWindows())
_exact = _with_redis(DatabaseWindows())
