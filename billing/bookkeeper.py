"""The books' thread: it gathers what has been handed in, writes it in one transaction, and says what became of it.

While one transaction commits, the next one gathers; so the busier a worker is, the fewer commits a call costs. The
thread has a connection of its own and never blocks the event loop. When the database is away, holds fail after
`HOLD_PATIENCE`, settlements wait for it to come back (`SETTLE_PATIENCE`): no answer goes out unpaid.
"""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Callable

from django.conf import settings
from django.db import DatabaseError, InterfaceError, OperationalError, connections

from billing import batch, standing
from billing.batch import Entry, Failure, Hold, Outcome, Settlement, Verdict
from billing.sweeping import Sweeper, beat_every
from billing.waiting import Answered, BooksClosed, Waiting, patience
from telemetry import ledger

log = logging.getLogger(__name__)

MAX_BATCH = 256  # entries in one transaction
FIRST_PAUSE, LONGEST_PAUSE = 0.01, 0.5  # seconds between two attempts on a database that is away or busy
BUSY_PAUSE = 0.05  # seconds until a hold that other calls stand in the way of is tried again


class Bookkeeper:
    """`start` and `finish` once each; `take` from any thread. Answers go to `tell`, from the books' thread."""

    def __init__(self, worker: str, tell: Callable[[list[Answered]], None]) -> None:
        self._worker = worker
        self._tell = tell
        self.alive = False  # somebody writes what is handed in: not before the start, nor after the end
        self._thread = threading.Thread(target=self._run, name="books", daemon=True)
        self._inbox: queue.SimpleQueue[list[Waiting] | None] = queue.SimpleQueue()
        self._busy: list[tuple[float, Waiting]] = []  # set aside, and until when
        self._stopping = False  # ends when all is written
        self._sweeper = Sweeper()
        self._disowned: list[str] = []  # calls whose callers were told that they failed
        self._failures = 0  # attempts in a row that the database did not take
        self._next_upkeep = 0.0
        self._next_beat = 0.0

    def start(self) -> None:
        self.alive = True
        self._thread.start()

    def take(self, coming: list[Waiting]) -> None:
        self._inbox.put(coming)

    def finish(self) -> None:
        """Write what is waiting, then end."""
        self._inbox.put(None)

    def join(self, seconds: float) -> None:
        self._thread.join(seconds)

    # --- the thread, from here on -------------------------------------------------------------------------------

    def _run(self) -> None:
        try:
            standing.keep()
            while True:
                gathered = self._gather()
                if gathered:
                    self._write(gathered)
                self._upkeep()
                if self._stopping and not gathered and self._inbox.empty() and not self._busy:
                    return
        finally:
            self.alive = False
            connections.close_all()

    def _gather(self) -> list[Waiting]:
        """What is waiting now, or the next to come; empty when only upkeep is due."""
        gathered = self._due_again(time.monotonic())
        timeout = 0.0 if gathered or self._stopping else (BUSY_PAUSE if self._busy else 0.5)
        try:
            first = self._inbox.get(timeout=timeout) if timeout else self._inbox.get_nowait()
            while True:
                if first is None:
                    self._stopping = True
                else:
                    gathered += first
                if len(gathered) >= MAX_BATCH:
                    break
                first = self._inbox.get_nowait()
        except queue.Empty:
            pass
        return gathered

    def _due_again(self, now: float) -> list[Waiting]:
        """Of what was set aside, what is due: as much as a transaction should take, the others next time."""
        due = [waiting for moment, waiting in self._busy if moment <= now]
        later = [(moment, waiting) for moment, waiting in self._busy if moment > now]
        self._busy = [*((now, waiting) for waiting in due[MAX_BATCH:]), *later]
        return due[:MAX_BATCH]

    def _write(self, gathered: list[Waiting]) -> None:
        now = time.monotonic()
        gathered = self._without_undecided(gathered, now)
        if not gathered:
            return
        entries: list[Entry] = []
        for waiting in gathered:
            entry = waiting.entry
            hold = entry if isinstance(entry, Hold) else waiting.first
            if hold is not None:
                hold.patient = now < waiting.patience and not self._stopping
                entries.append(hold)
            if hold is not entry:
                entries.append(entry)
        try:
            with standing.answered():
                outcomes = batch.post(entries, again=any(w.again for w in gathered))
        except Exception as error:  # noqa: BLE001
            # The edge of this thread: whatever is wrong with one entry must not end the books of all.
            self._failed(gathered, error)
            return
        self._failures = 0
        ledger.written(len(gathered), now, gathered[0].since)
        answered: list[Answered] = []
        freed = False
        in_order = iter(outcomes)
        for waiting in gathered:
            if waiting.first is not None:
                next(in_order)  # its refusal is the settlement's, too
            outcome = next(in_order)
            if outcome.verdict is Verdict.BUSY:
                waiting.deadline = now + patience(waiting.entry)  # the database is there: it begins anew
                self._busy.append((now + BUSY_PAUSE, waiting))
                continue
            if isinstance(waiting.entry, Hold):
                waiting.entry.outcome = outcome
            else:
                freed = freed or isinstance(waiting.entry, Settlement)
            answered.append((waiting, outcome))
        if freed:  # what was set aside has come back: try at once
            self._busy = [(now, waiting) for _, waiting in self._busy]
        self._answer(answered)

    def _without_undecided(self, gathered: list[Waiting], now: float) -> list[Waiting]:
        """What can be written now. A settlement sent after its hold waits for it, and shares its refusal."""
        here: set[str] | None = None
        ready: list[Waiting] = []
        refused: list[Answered] = []
        for waiting in gathered:
            if waiting.first is not None or not isinstance(waiting.entry, Settlement) or waiting.entry.hold is None:
                ready.append(waiting)
                continue
            hold = waiting.entry.hold
            if here is None:
                here = {w.entry.request_id for w in gathered if isinstance(w.entry, Hold)}
            if hold.outcome is None and hold.request_id in here:
                ready.append(waiting)
            elif hold.outcome is None:
                self._busy.append((now + BUSY_PAUSE, waiting))
            elif hold.outcome.verdict is Verdict.GRANTED:
                ready.append(waiting)
            else:
                refused.append((waiting, hold.outcome))
        self._answer(refused)
        return ready

    def _failed(self, gathered: list[Waiting], error: Exception) -> None:
        """The transaction failed. A database that is away or busy is tried again; a refused entry is found alone."""
        log.warning("books: %d entries not written: %s", len(gathered), _brief(error))
        away = isinstance(error, OperationalError | InterfaceError)
        ledger.failed(away, self._failures + 1)
        self._reconnect(was_away=away)
        for waiting in gathered:
            waiting.again = True
        if not away:
            if len(gathered) > 1:
                for waiting in gathered:
                    self._write([waiting])
                return
            self._give_up(gathered, error)
            return
        now = time.monotonic()
        self._give_up([w for w in gathered if now >= w.deadline], error)
        pause = min(LONGEST_PAUSE, FIRST_PAUSE * 2**self._failures)
        self._failures += 1
        self._busy += [(now + pause, w) for w in gathered if now < w.deadline]
        time.sleep(pause)

    def _give_up(self, waitings: list[Waiting], error: Exception) -> None:
        """Their callers are told. What they may hold is nobody's any more, and left to the sweeper."""
        ledger.given_up(len(waitings))
        self._disowned += [w.entry.request_id for w in waitings if not isinstance(w.entry, Failure)]
        for waiting in waitings:
            if isinstance(waiting.entry, Hold):  # its settlement may still come: that one finds what was written
                waiting.entry.outcome = Outcome(Verdict.GRANTED)
        self._answer([(waiting, BooksClosed(_brief(error))) for waiting in waitings])

    def _reconnect(self, *, was_away: bool) -> None:
        """Let go of connections that may be dead, of this thread's and of those that wait in pools for others."""
        if was_away:
            self._sweeper.forget()
        try:
            connections.close_all()
            standing.drop_pools()
        except Exception:
            # What is broken may refuse to be closed. It is let go of all the same, and what waits is tried on another.
            log.exception("books: a connection that may be dead could not be closed")

    def _answer(self, answers: list[Answered]) -> None:
        if answers:
            self._tell(answers)

    def _upkeep(self) -> None:
        """Keep our holds alive, finish those of processes that died (I5)."""
        now = time.monotonic()
        if now < self._next_upkeep:
            return
        self._next_upkeep = now + max(0.2, min(1.0, settings.HOLD_TTL / 6))
        try:
            with standing.answered():
                if self._disowned:
                    batch.disown(self._disowned)
                    self._disowned = []
                if now >= self._next_beat:
                    batch.beat(self._worker)
                    self._next_beat = now + beat_every()
                    self._sweeper.look(now)
                if self._sweeper.settle(now):
                    self._next_upkeep = now  # more of them, after the calls that have come meanwhile
        except (DatabaseError, InterfaceError) as error:
            log.warning("books: upkeep put off: %s", _brief(error))
            self._reconnect(was_away=isinstance(error, OperationalError | InterfaceError))
        except Exception:
            # The edge of this thread, as in `_write`: whatever is wrong with one hold must not end the books of all.
            log.exception("books: upkeep put off")
            self._reconnect(was_away=False)


def _brief(error: Exception) -> str:
    return f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"[:300]
