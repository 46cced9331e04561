"""Group commit: what many coroutines of a worker want in the books goes into one transaction.

While one transaction commits, the next one gathers; so the busier a worker is, the fewer commits a call costs. Entries
are handed over when a turn of the event loop has brought no new one, and at the latest after GATHER: a lone call does
not wait, a crowd goes together. A hold whose call goes ahead without it (`ahead`) is kept back for a moment, so that a
quick call is written in one piece. The database work runs on a thread of its own with its own connection and never
blocks the event loop.

A caller that is cancelled meanwhile leaves; its entry is written all the same. When the database is away, holds fail
after `HOLD_PATIENCE`, settlements wait for it to come back (`SETTLE_PATIENCE`): no answer goes out unpaid.
"""

from __future__ import annotations

import asyncio
import logging
import queue
import threading
import time
import uuid
from dataclasses import dataclass

from django.conf import settings
from django.db import DatabaseError, InterfaceError, OperationalError, connections

from billing import batch, standing
from billing.batch import Entry, Failure, Hold, Outcome, Progress, Settlement, Verdict
from billing.log_shipping import Shipper
from billing.sweeping import Sweeper, beat_every
from telemetry import ledger

log = logging.getLogger(__name__)

MAX_BATCH = 256  # entries in one transaction
GATHER = 0.025  # seconds that entries wait for others as long as each turn of the event loop brings more
AHEAD = 0.025  # seconds a hold that nobody waits for is kept back for its settlement
HOLD_PATIENCE = 10.0  # seconds a hold, or a failure, waits for a database that is away
MOST_NOTED = 1000  # failures that wait to be written; what comes then is lost
GENERATED = (Settlement, Progress)  # they tell of what an upstream has made already
SETTLE_PATIENCE = 120.0  # seconds a finished call waits for it
FIRST_PAUSE, LONGEST_PAUSE = 0.01, 0.5  # seconds between two attempts on a database that is away or busy
BUSY_PAUSE = 0.05  # seconds until a hold that other calls stand in the way of is tried again


class BooksClosed(RuntimeError):
    """The database did not take the entry in time, or the worker is stopping."""


@dataclass(slots=True)
class _Waiting:
    entry: Entry
    future: asyncio.Future[Outcome]
    deadline: float  # monotonic; a database that is away is not waited for any longer
    patience: float  # monotonic; a BUSY hold is not tried again after it
    since: float  # monotonic; when it came
    first: Hold | None = None  # the hold of this settlement, which goes with it and that nobody else waits for
    again: bool = False  # an attempt failed, perhaps after its commit


class Books:
    """The books of one worker process. `post` from the event loop; `start` and `stop` once each."""

    def __init__(self) -> None:
        self.worker = uuid.uuid4().hex
        self._inbox: queue.SimpleQueue[list[_Waiting] | None] = queue.SimpleQueue()
        self._coming: list[_Waiting] = []  # not handed over yet; the event loop's
        self._coming_before = 0  # of these, how many there were a turn ago
        self._coming_until = 0.0  # monotonic; they are handed over then, whatever comes
        self._ahead: dict[str, tuple[float, _Waiting]] = {}  # holds kept back, oldest first, and until when
        self._minding = False  # a timer runs that looks at them
        self._hold_wait: float = settings.HOLD_WAIT
        self._busy: list[tuple[float, _Waiting]] = []
        self._thread = threading.Thread(target=self._run, name="books", daemon=True)
        self._shipper = Shipper()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._next_upkeep = 0.0
        self._next_beat = 0.0
        self._sweeper = Sweeper()
        self._disowned: list[str] = []  # calls whose callers were told that they failed
        self._failures = 0  # attempts in a row that the database did not take
        self._closing = False  # nothing is taken any more; the event loop's
        self._stopping = False  # the thread ends when all is written
        self._noted = 0  # failures that wait; the event loop's

    def start(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._thread.start()
        self._shipper.start()

    async def stop(self) -> None:
        """Write what is waiting, then end the thread."""
        self._closing = True
        self._coming += [waiting for _, waiting in self._ahead.values()]
        self._ahead.clear()
        self._hand_over()
        self._inbox.put(None)
        self._shipper.stop()
        await asyncio.to_thread(self._thread.join, SETTLE_PATIENCE)

    @property
    def alive(self) -> bool:
        """Whether somebody writes what is handed over: not before the start, nor after the end."""
        return self._thread.is_alive()

    def submit(self, entry: Entry) -> asyncio.Future[Outcome]:
        """Hand over an entry; the future is done when it is durable, or fails with BooksClosed."""
        now = time.monotonic()
        waiting = self._waiting(entry, now)
        if isinstance(entry, Settlement) and entry.hold is not None and entry.request_id in self._ahead:
            del self._ahead[entry.request_id]
            waiting.first = entry.hold
        self._enter(waiting, now)
        return waiting.future

    def ahead(self, hold: Hold) -> asyncio.Future[Outcome]:
        """As `submit`, for a hold that its call does not wait for: kept back for the settlement, AHEAD at most.

        Where the settlement takes it along, the settlement's future alone tells of both.
        """
        now = time.monotonic()
        waiting = self._waiting(hold, now)
        if not self._minding and self._loop is not None:
            self._minding = True
            self._loop.call_later(AHEAD, self._overdue)
        self._ahead[hold.request_id] = now + AHEAD, waiting
        return waiting.future

    def hurry(self, request_id: str) -> None:
        """The hold of this call is waited for after all."""
        _, waiting = self._ahead.pop(request_id, (0.0, None))
        if waiting is not None:
            self._enter(waiting, time.monotonic())

    def withdraw(self, request_id: str) -> bool:
        """The call is over and costs nothing. True: its hold had been kept back until now and is never written."""
        return self._ahead.pop(request_id, None) is not None

    def _overdue(self) -> None:
        """Hand over the holds that were kept back for long enough."""
        self._minding = False
        now = time.monotonic()
        for request_id, (until, waiting) in list(self._ahead.items()):
            if until > now:
                if self._loop is not None:
                    self._minding = True
                    self._loop.call_later(until - now, self._overdue)
                return
            del self._ahead[request_id]
            self._enter(waiting, now)

    def _waiting(self, entry: Entry, now: float) -> _Waiting:
        if self._loop is None or self._closing or not self.alive:
            raise BooksClosed("the books are not open")
        return _Waiting(entry, self._loop.create_future(), now + _patience(entry), now + self._hold_wait, now)

    def _enter(self, waiting: _Waiting, now: float) -> None:
        if not self._coming:
            assert self._loop is not None
            self._coming_before, self._coming_until = 0, now + GATHER
            self._loop.call_soon(self._take_turn)
        self._coming.append(waiting)

    def _take_turn(self) -> None:
        """Once a turn of the event loop while entries are coming: hand them over, or see what the next turn brings."""
        count = len(self._coming)
        if self._coming_before < count < MAX_BATCH and time.monotonic() < self._coming_until and self._loop is not None:
            self._coming_before = count
            self._loop.call_soon(self._take_turn)
        else:
            self._hand_over()

    def _hand_over(self) -> None:
        coming, self._coming = self._coming, []
        if coming:
            self._inbox.put(coming)

    async def post(self, entry: Entry) -> Outcome:
        """Durable when this returns. Being cancelled while waiting does not withdraw the entry."""
        return await self.submit(entry)  # cancelling cancels the future alone, and _deliver passes over it

    def note(self, failure: Failure) -> bool:
        """Hand over what nobody waits for. False: it is lost, because the books are closed or far behind."""
        if self._loop is None or self._closing or not self.alive or self._noted >= MOST_NOTED:
            return False
        self._noted += 1
        self.submit(failure).add_done_callback(self._forget)
        return True

    def _forget(self, noted: asyncio.Future[Outcome]) -> None:
        self._noted -= 1
        if not noted.cancelled():
            noted.exception()  # _failed has logged it, and nobody else wants to know

    # --- the thread -------------------------------------------------------------------------------------------

    def _run(self) -> None:
        standing.keep()
        try:
            while True:
                gathered = self._gather()
                if gathered:
                    self._write(gathered)
                self._upkeep()
                if self._stopping and not gathered and self._inbox.empty() and not self._busy:
                    return
        finally:
            connections.close_all()

    def _gather(self) -> list[_Waiting]:
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

    def _due_again(self, now: float) -> list[_Waiting]:
        """Of what was set aside, what is due: as much as a transaction should take, the others next time."""
        due = [waiting for moment, waiting in self._busy if moment <= now]
        later = [(moment, waiting) for moment, waiting in self._busy if moment > now]
        self._busy = [*((now, waiting) for waiting in due[MAX_BATCH:]), *later]
        return due[:MAX_BATCH]

    def _write(self, gathered: list[_Waiting]) -> None:
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
        answered: list[tuple[_Waiting, Outcome | BooksClosed]] = []
        freed = False
        in_order = iter(outcomes)
        for waiting in gathered:
            if waiting.first is not None:
                next(in_order)  # its refusal is the settlement's, too
            outcome = next(in_order)
            if outcome.verdict is Verdict.BUSY:
                waiting.deadline = now + _patience(waiting.entry)  # the database is there: it begins anew
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

    def _without_undecided(self, gathered: list[_Waiting], now: float) -> list[_Waiting]:
        """What can be written now. A settlement sent after its hold waits for it, and shares its refusal."""
        here: set[str] | None = None
        ready: list[_Waiting] = []
        refused: list[tuple[_Waiting, Outcome | BooksClosed]] = []
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

    def _failed(self, gathered: list[_Waiting], error: Exception) -> None:
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

    def _give_up(self, waitings: list[_Waiting], error: Exception) -> None:
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

    def _answer(self, answers: list[tuple[_Waiting, Outcome | BooksClosed]]) -> None:
        """Tell all waiting callers in one go; those who have left meanwhile are not told."""
        if not answers or self._loop is None:
            return
        try:
            self._loop.call_soon_threadsafe(_deliver, answers)
        except RuntimeError:  # the loop has closed under a forced stop; the entries are durable all the same
            log.warning("books: %d callers left before their answer", len(answers))

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
                    batch.beat(self.worker)
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


def _deliver(answers: list[tuple[_Waiting, Outcome | BooksClosed]]) -> None:
    for waiting, answer in answers:
        if waiting.future.done():
            continue
        if isinstance(answer, BooksClosed):
            waiting.future.set_exception(answer)
        else:
            waiting.future.set_result(answer)


def _patience(entry: Entry) -> float:
    """Seconds that it waits for a database that is away."""
    return SETTLE_PATIENCE if isinstance(entry, GENERATED) else HOLD_PATIENCE


def _brief(error: Exception) -> str:
    return f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"[:300]
