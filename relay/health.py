"""What this worker has seen of each channel lately, and which ones to leave alone for a while.

Three reasons to avoid a channel: its upstream asked for a pause (Retry-After), its breaker is open, or another worker,
of this node or another, has one of these reasons (the database says so, and is read when its version moves). A breaker
opens after FAILURES failures in a row within WINDOW seconds, for 10 s, and for twice as long each time it opens again,
up to ten minutes. When the time is up, one call goes through; if that succeeds the channel is back, if not it stays
out. A channel that is avoided is still tried when there is no other: avoiding never refuses a call.

On the event loop all of this is a look into a dictionary. What has to be written down goes to one thread (Notes).
"""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from django.conf import settings
from django.db import DatabaseError, InterfaceError, connections

from channels_app import faults
from channels_app import health as channel_health
from channels_app.health import BAD, GOOD
from channels_app.models import BreakerState
from channels_app.snapshot import Route, Snapshot
from relay.errors import UpstreamError, UpstreamTimeout, UpstreamUnreachable

log = logging.getLogger(__name__)

FAILURES = 5
WINDOW = 60.0  # seconds
SHORTEST, LONGEST = 10.0, 600.0  # seconds a breaker stays open
PROBE = 30.0  # seconds after which a probe that told nothing (its caller left) is followed by another
SAME_REFUSAL = 1.0  # seconds in which a second refusal of the same account is no news
WORTH = 1.0  # seconds by which a pause must be longer than what others know of, to be told
MERGED = 1.0  # seconds between two writes of outcomes
WAITING = 10_000  # notes that may wait while the database is away; more are dropped
# Answers that only a broken upstream gives; what a caller's request may have caused is not among them.
BROKEN = frozenset({"unmarshal_response_body_failed", "event_too_long", "empty_stream", "stream_broken"})


def refused(route: Route, error: UpstreamError) -> bool:
    """Whether the upstream refuses the channel's account."""
    return faults.refuses_account(route.type, error)


def failed(route: Route, error: UpstreamError) -> bool:
    """Whether the failure is the upstream's own. Not: what the caller asked for (400s), limits (429), our errors."""
    if isinstance(error, UpstreamTimeout | UpstreamUnreachable) or error.answered >= 500:
        return True
    return error.code in BROKEN or refused(route, error)


@dataclass(slots=True)
class Breaker:
    """One channel's. Moments are monotonic seconds. Made with the first failure, gone with the next success."""

    route: Route
    recent: list[float] = field(default_factory=list)  # moments of the failures in a row, the last FAILURES of them
    failures: int = 0  # in a row
    openings: int = 0  # in a row
    until: float = 0.0  # while open: when it may be probed; 0.0 while closed
    probing: float = 0.0  # until when a probe is under way

    def avoids(self, now: float) -> bool:
        return bool(self.until) and (now < self.until or now < self.probing)

    def fail(self, now: float) -> bool:
        """Count a failure; True when it opens the breaker (again)."""
        self.failures += 1
        self.recent = [*self.recent[1 - FAILURES :], now]
        if self.until:
            if now < self.until:  # tried because there was no other
                return False
        elif len(self.recent) < FAILURES or now - self.recent[0] > WINDOW:
            return False
        self.openings += 1
        self.until = now + min(SHORTEST * 2 ** (self.openings - 1), LONGEST)
        self.probing = 0.0
        return True


class Health:
    """`clock` gives monotonic seconds. All methods but start, stop and follow belong to the event loop."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._paused: dict[int, float] = {}
        self._breakers: dict[int, Breaker] = {}
        self._open = 0  # breakers that are not closed
        self._refused: dict[int, float] = {}
        self._told: dict[int, float] = {}  # what others avoid, until when
        self._heard: dict[int, float] | None = None  # the same, not taken up yet
        self._shared: dict[int, float] = {}  # pauses others have been told of
        self._news: Snapshot | None = None
        self.notes = Notes()

    def start(self) -> None:
        self.notes.start()

    def stop(self) -> None:
        """Blocks until what was seen is written down, for a few seconds at most."""
        self.notes.stop()

    def pause(self, channel_id: int, seconds: float) -> None:
        """The upstream asked to be left alone. Others are told where it is worth a write."""
        until = self._paused[channel_id] = self._clock() + seconds
        if until - self._shared.get(channel_id, self._clock()) >= WORTH:
            self._shared[channel_id] = until
            moment = round((time.time() + seconds) * 1000)
            self.notes.add(lambda: channel_health.paused(channel_id, moment))

    def hear(self, avoided: Mapping[int, float]) -> None:
        """What others avoid, until which Unix second. Any thread; taken up as `follow` is."""
        ahead = self._clock() - time.time()
        self._heard = {channel_id: until + ahead for channel_id, until in avoided.items()}

    def avoided(self) -> frozenset[int]:
        """Channels to try last."""
        if self._heard is not None:
            self._told, self._heard = self._heard, None
        if not self._paused and not self._open and not self._told:
            return frozenset()
        if self._news is not None:
            news, self._news = self._news, None
            self._follow(news)
        now = self._clock()
        if self._paused:
            self._paused = {channel_id: until for channel_id, until in self._paused.items() if until > now}
        if self._told:
            self._told = {channel_id: until for channel_id, until in self._told.items() if until > now}
        own = {channel_id: breaker.avoids(now) for channel_id, breaker in self._breakers.items() if breaker.until}
        told = (channel_id for channel_id in self._told if channel_id not in own)  # one's own breaker knows better
        return frozenset(self._paused).union(told, (channel_id for channel_id, avoids in own.items() if avoids))

    def seen(self) -> dict[int, tuple[int, int, int]]:
        """By channel: paused, avoided (0 or 1), failures in a row; of those that anything bad is known of."""
        now = self._clock()
        found = {}
        for channel_id in {*self._paused, *self._breakers}:
            breaker = self._breakers.get(channel_id)
            paused = self._paused.get(channel_id, 0.0) > now
            avoided = paused or (breaker is not None and breaker.avoids(now))
            found[channel_id] = int(paused), int(avoided), breaker.failures if breaker else 0
        return found

    def back_at(self, channel_id: int) -> float:
        """When the channel may be tried again: the least bad of avoided ones has the smallest."""
        breaker = self._breakers.get(channel_id)
        if breaker is not None and breaker.until:
            return max(self._paused.get(channel_id, 0.0), breaker.until, breaker.probing)
        return max(self._paused.get(channel_id, 0.0), self._told.get(channel_id, 0.0))

    def chosen(self, route: Route) -> None:
        """A call goes to this channel. If its breaker's time is up, that call is the probe."""
        if not self._open:
            return
        breaker = self._breakers.get(route.channel_id)
        if breaker is None or not breaker.until:
            return
        now = self._clock()
        if now >= breaker.until and now >= breaker.probing:
            if not breaker.probing:
                self._show(breaker, BreakerState.HALF_OPEN)
            breaker.probing = now + PROBE

    def report(self, route: Route, error: UpstreamError | None) -> None:
        """How a call ended: None is well."""
        if error is None:
            if self._breakers:
                self._recovered(route)
            if self._told:
                self._told.pop(route.channel_id, None)
            if settings.ENABLE_METRIC:
                self.notes.outcome(route.channel_id, GOOD)
            return
        if not failed(route, error):
            return
        now = self._clock()
        if refused(route, error) and now - self._refused.get(route.channel_id, -SAME_REFUSAL) >= SAME_REFUSAL:
            self._refused[route.channel_id] = now
            self.notes.add(lambda: channel_health.account_refused(route.channel_id, error.message))
        if settings.ENABLE_METRIC:
            self.notes.outcome(route.channel_id, BAD)
        self._failed(route, error, now)

    def follow(self, snapshot: Snapshot) -> None:
        """Channels may have changed. Any thread; the event loop takes it up when it next asks whom to avoid."""
        self._news = snapshot

    def _follow(self, snapshot: Snapshot) -> None:
        """Forget what was learnt about channels that have since been changed, disabled or removed."""
        for channel_id, breaker in list(self._breakers.items()):
            now = snapshot.channels.get(channel_id)
            if now is None or not now.enabled or not _same_upstream(now, breaker.route):
                self._forget(breaker)

    def _recovered(self, route: Route) -> None:
        breaker = self._breakers.get(route.channel_id)
        if breaker is not None:
            self._forget(breaker)

    def _forget(self, breaker: Breaker) -> None:
        if self._breakers.pop(breaker.route.channel_id, None) is None:
            return
        if breaker.until:
            self._open = sum(1 for other in self._breakers.values() if other.until)
            breaker.until = breaker.probing = 0.0
            breaker.failures = breaker.openings = 0
            self._show(breaker, BreakerState.CLOSED)

    def _failed(self, route: Route, error: UpstreamError, now: float) -> None:
        breaker = self._breakers.get(route.channel_id)
        if breaker is None:
            breaker = self._breakers[route.channel_id] = Breaker(route)
        if breaker.fail(now):
            self._open = sum(1 for other in self._breakers.values() if other.until)
            log.warning(
                "channel #%d is left alone for %d s after %d failures in a row",
                route.channel_id,
                breaker.until - now,
                breaker.failures,
            )
            self._show(breaker, BreakerState.OPEN, error.message)

    def _show(self, breaker: Breaker, state: BreakerState, message: str = "") -> None:
        left = breaker.until - self._clock()
        channel_id, failures, openings = breaker.route.channel_id, breaker.failures, breaker.openings
        until = round(time.time() + left) if breaker.until else 0
        self.notes.add(
            lambda: channel_health.breaker_changed(
                channel_id, state, opened_until=until, failures=failures, openings=openings, last_failure=message
            )
        )


class Notes:
    """The thread that writes down what was seen. While the database is away notes wait, and too many are dropped."""

    def __init__(self) -> None:
        self._queue: queue.SimpleQueue[Callable[[], object] | None] = queue.SimpleQueue()
        self._outcomes: dict[int, str] = {}
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._write, name="channel health", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._queue.put(None)
        if self._thread.is_alive():
            self._thread.join(5)

    def add(self, note: Callable[[], object]) -> None:
        if self._queue.qsize() < WAITING:
            self._queue.put(note)

    def outcome(self, channel_id: int, outcome: str) -> None:
        """Kept in memory until the next write, within the same second."""
        with self._lock:
            self._outcomes[channel_id] = (self._outcomes.get(channel_id, "") + outcome)[-WAITING:]

    def _write(self) -> None:
        due = time.monotonic() + MERGED
        ended = False
        while not ended:
            try:
                note = self._queue.get(timeout=max(0.0, due - time.monotonic()))
                ended = note is None
                if note is not None:
                    _written(note)
            except queue.Empty:
                pass
            if ended or time.monotonic() >= due:
                due = time.monotonic() + MERGED
                self._write_outcomes()
        connections.close_all()

    def _write_outcomes(self) -> None:
        with self._lock:
            outcomes, self._outcomes = self._outcomes, {}
        if outcomes:
            _written(lambda: channel_health.count_outcomes(outcomes))


def _written(note: Callable[[], object]) -> None:
    try:
        note()
    except (DatabaseError, InterfaceError) as error:
        log.warning("a channel's health could not be written down: %s", str(error).splitlines()[:1])
        connections.close_all()
    except Exception:  # the edge of this thread, which has to outlive a bug in one note
        log.exception("a channel's health could not be written down")


def _same_upstream(one: Route, other: Route) -> bool:
    return (one.type, one.base_url, one.key, one.proxy, one.config) == (
        other.type,
        other.base_url,
        other.key,
        other.proxy,
        other.config,
    )
