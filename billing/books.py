"""Group commit: what many coroutines of a worker want in the books goes into one transaction.

Entries are handed to the books' thread (`billing.bookkeeper`) when a turn of the event loop has brought no new one, and
at the latest after GATHER: a lone call does not wait, a crowd goes together. A hold whose call goes ahead without it
(`ahead`) is kept back for a moment, so that a quick call is written in one piece.

A caller that is cancelled meanwhile leaves; its entry is written all the same.
"""

from __future__ import annotations

import asyncio
import logging
import time
import uuid

from django.conf import settings

from billing.batch import Entry, Failure, Hold, Outcome, Settlement
from billing.bookkeeper import MAX_BATCH, Bookkeeper
from billing.log_shipping import Shipper
from billing.waiting import SETTLE_PATIENCE, Answered, BooksClosed, Waiting, patience

log = logging.getLogger(__name__)

GATHER = 0.025  # seconds that entries wait for others as long as each turn of the event loop brings more
AHEAD = 0.025  # seconds a hold that nobody waits for is kept back for its settlement
MOST_NOTED = 1000  # failures that wait to be written; what comes then is lost


class Books:
    """The books of one worker process. `post` from the event loop; `start` and `stop` once each."""

    def __init__(self) -> None:
        self.worker = uuid.uuid4().hex
        self._keeper = Bookkeeper(self.worker, self._tell)
        self._shipper = Shipper()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._coming: list[Waiting] = []  # not handed over yet
        self._coming_before = 0  # of these, how many there were a turn ago
        self._coming_until = 0.0  # monotonic; they are handed over then, whatever comes
        self._ahead: dict[str, tuple[float, Waiting]] = {}  # holds kept back, oldest first, and until when
        self._minding = False  # a timer runs that looks at them
        self._hold_wait: float = settings.HOLD_WAIT
        self._closing = False  # nothing is taken any more
        self._noted = 0  # failures that wait

    def start(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._keeper.start()
        self._shipper.start()

    async def stop(self) -> None:
        """Write what is waiting, then end the thread."""
        self._closing = True
        self._coming += [waiting for _, waiting in self._ahead.values()]
        self._ahead.clear()
        self._hand_over()
        self._keeper.finish()
        self._shipper.stop()
        await asyncio.to_thread(self._keeper.join, SETTLE_PATIENCE)

    @property
    def alive(self) -> bool:
        """Whether somebody writes what is handed over: not before the start, nor after the end."""
        return self._keeper.alive

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

    def _waiting(self, entry: Entry, now: float) -> Waiting:
        if self._loop is None or self._closing or not self._keeper.alive:
            raise BooksClosed("the books are not open")
        return Waiting(entry, self._loop.create_future(), now + patience(entry), now + self._hold_wait, now)

    def _enter(self, waiting: Waiting, now: float) -> None:
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
            self._keeper.take(coming)

    async def post(self, entry: Entry) -> Outcome:
        """Durable when this returns. Being cancelled while waiting does not withdraw the entry."""
        return await self.submit(entry)  # cancelling cancels the future alone, and _deliver passes over it

    def note(self, failure: Failure) -> bool:
        """Hand over what nobody waits for. False: it is lost, because the books are closed or far behind."""
        if self._loop is None or self._closing or not self._keeper.alive or self._noted >= MOST_NOTED:
            return False
        self._noted += 1
        self.submit(failure).add_done_callback(self._forget)
        return True

    def _forget(self, noted: asyncio.Future[Outcome]) -> None:
        self._noted -= 1
        if not noted.cancelled():
            noted.exception()  # the bookkeeper has logged it, and nobody else wants to know

    def _tell(self, answers: list[Answered]) -> None:
        """From the books' thread: answer all callers in one go; those who have left meanwhile are not told."""
        if self._loop is None:
            return
        try:
            self._loop.call_soon_threadsafe(_deliver, answers)
        except RuntimeError:  # the loop has closed under a forced stop; the entries are durable all the same
            log.warning("books: %d callers left before their answer", len(answers))


def _deliver(answers: list[Answered]) -> None:
    for waiting, answer in answers:
        if waiting.future.done():
            continue
        if isinstance(answer, BooksClosed):
            waiting.future.set_exception(answer)
        else:
            waiting.future.set_result(answer)
