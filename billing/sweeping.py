"""Finishing the calls of processes that have gone (invariant I5), and of no others.

That a hold's time has passed proves nothing: the clock may have been set, another node's may go wrong, or the database
stood still and nobody could beat. So a sweeper looks more than once, and takes for dead what nobody has touched for
three beats while it was looking, by a clock that nobody sets. A call taken for dead while it lives would be charged
for the last recorded progress instead of for what it used.
"""

from __future__ import annotations

import logging

from django.conf import settings
from django.db import DatabaseError, InterfaceError, OperationalError

from billing import batch
from billing.batch import Settlement
from telemetry import ledger

log = logging.getLogger(__name__)

LONGEST_BEAT = 10.0  # seconds between two beats, however long holds live
BEATS_MISSED = 3  # a living process has beaten so often meanwhile
WHOLE = 1.0  # seconds; ends are whole ones, so a beat may not show at once


def beat_every() -> float:
    """Seconds between two beats of a worker, and between two looks of its sweeper."""
    return float(min(settings.HOLD_TTL / 6, LONGEST_BEAT))


class Sweeper:
    """Of the books' thread of one worker. Times are monotonic seconds."""

    def __init__(self) -> None:
        self._suspects: dict[str, tuple[int, float]] = {}  # by request id: its end when first seen, and when that was
        self._looked = 0.0

    def forget(self) -> None:
        """The database was away: since then others can have beaten no more than we can have looked."""
        self._suspects = {}

    def sweep(self, now: float) -> None:
        """Settle what is dead. Raises django.db.DatabaseError when the database is away."""
        grace = BEATS_MISSED * beat_every() + WHOLE
        if now - self._looked > grace:  # we were held up, and so may all have been
            self.forget()
        self._looked = now
        before, self._suspects = self._suspects, {}
        dead: list[Settlement] = []
        for ends, entry in batch.overdue():
            seen = before.get(entry.request_id)
            if seen is None or seen[0] != ends:
                seen = ends, now
            self._suspects[entry.request_id] = seen
            if now - seen[1] >= grace:
                dead.append(entry)
        if dead:
            log.warning("books: settling %d holds of processes that have gone", len(dead))
            ledger.swept(len(dead))
            _settle(dead)


def _settle(dead: list[Settlement]) -> None:
    try:
        batch.post(dead)
    except (OperationalError, InterfaceError):
        raise
    except DatabaseError as error:  # one of them is refused: the others must not wait for it for ever
        log.warning("books: settling them one by one: %s", type(error).__name__)
        for one in dead:
            _settle_one(one)


def _settle_one(entry: Settlement) -> None:
    try:
        batch.post([entry], again=True)
    except (OperationalError, InterfaceError):
        raise
    except DatabaseError:
        log.exception("books: the hold of call %s cannot be settled", entry.request_id)
