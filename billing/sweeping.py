"""Finishing the calls of processes that have gone (invariant I5), and of no others.

That a hold's time has passed proves nothing: the clock may have been set, another node's may go wrong, or the database
stood still and nobody could beat. So a sweeper looks more than once, and takes for dead what nobody has touched for
three beats while it was looking, by a clock that nobody sets. A call taken for dead while it lives would be charged
for the last recorded progress instead of for what it used.

Every look is at all holds that have missed beats, however many, so that a crowd of them is not given its time one
after the other. They are settled a portion at a time, between which the books write what living calls want.
"""

from __future__ import annotations

import logging

from django.conf import settings
from django.db import InterfaceError, OperationalError

from billing import batch
from billing.batch import Settlement
from telemetry import ledger

log = logging.getLogger(__name__)

LONGEST_BEAT = 10.0  # seconds between two beats, however long holds live
BEATS_MISSED = 3  # a living process has beaten so often meanwhile
WHOLE = 1.0  # seconds; ends are whole ones, so a beat may not show at once
PORTION = 200  # holds settled in one transaction
PUT_OFF = 60.0  # seconds until a hold that could not be settled is tried again
AWAY = (OperationalError, InterfaceError, OSError)  # it is not one of the holds that is to blame


def beat_every() -> float:
    """Seconds between two beats of a worker, and between two looks of its sweeper."""
    return float(min(settings.HOLD_TTL / 6, LONGEST_BEAT))


class Sweeper:
    """Of the books' thread of one worker. Times are monotonic seconds."""

    def __init__(self) -> None:
        self._suspects: dict[str, tuple[int, float]] = {}  # by request id: its end when first seen, and when that was
        self._dead: list[str] = []  # of these, what is still to be settled
        self._refused: dict[str, float] = {}  # what could not be settled, and until when it is left alone
        self._looked = 0.0

    def forget(self) -> None:
        """The database was away: since then others can have beaten no more than we can have looked."""
        self._suspects = {}
        self._dead = []

    def look(self, now: float) -> None:
        """Find out what is dead; once a beat. Raises django.db.DatabaseError when the database is away."""
        late = batch.late()
        grace = BEATS_MISSED * beat_every() + WHOLE
        if now - self._looked > grace:  # we were held up, and so may all have been
            self.forget()
        self._looked = now
        before, self._suspects, self._dead = self._suspects, {}, []
        for hold in late:
            seen = before.get(hold.request_id)
            if seen is None or seen[0] != hold.ends:
                seen = hold.ends, now
            self._suspects[hold.request_id] = seen
            if hold.over and now - seen[1] >= grace and self._refused.get(hold.request_id, now) <= now:
                self._dead.append(hold.request_id)
        self._refused = {one: until for one, until in self._refused.items() if one in self._suspects}

    def settle(self, now: float) -> bool:
        """Settle a portion of what is dead; whether there is more. Raises django.db.DatabaseError as `look`."""
        portion, self._dead = self._dead[:PORTION], self._dead[PORTION:]
        if portion:
            # Of those that a living process has touched after all, since the look, the end is another.
            dead = [entry for ends, entry in batch.endings(portion) if ends == self._suspects[entry.request_id][0]]
            if dead:
                log.warning("books: settling %d holds of processes that have gone", len(dead))
                refused = _settle(dead)
                self._refused |= {entry.request_id: now + PUT_OFF for entry in refused}
                ledger.swept(len(dead) - len(refused))
        return bool(self._dead)


def _settle(dead: list[Settlement]) -> list[Settlement]:
    """Those that could not be settled. One of them must keep none of the others, whatever is wrong with it."""
    try:
        batch.post(dead)
    except AWAY:
        raise
    except Exception as error:  # noqa: BLE001 (which one it is, and why, is found out here)
        log.warning("books: settling them one by one: %s", type(error).__name__)
        return [entry for entry in dead if not _settled(entry)]
    return []


def _settled(entry: Settlement) -> bool:
    try:
        batch.post([entry], again=True)
    except AWAY:
        raise
    except Exception:
        # One hold that cannot be settled, for whatever reason, must not keep those behind it; it is tried again later.
        log.exception("books: the hold of call %s cannot be settled", entry.request_id)
        return False
    return True
