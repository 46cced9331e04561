"""One run of a piece of work: its thread, its lease, and how it ends."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import Any

from django.db import DatabaseError, InterfaceError, connections

from jobs import leases
from jobs.leases import Held

log = logging.getLogger(__name__)

LEASE = 30  # seconds a dead process keeps others from the work
RENEWAL = LEASE / 3
REPORT_GAP = 1.0  # seconds between two reports of progress

Work = Callable[["Context"], None]


class Context:
    """What a run knows about itself. Handed to the work, used from the work's threads."""

    def __init__(self, held: Held) -> None:
        self._held = held
        self._stop = threading.Event()
        self._reported = 0.0
        self._last: dict[str, Any] | None = None

    @property
    def name(self) -> str:
        return self._held.name

    @property
    def holder(self) -> str:
        """Which acquisition of the lease this run is (jobs.leases.State.holder)."""
        return self._held.holder

    @property
    def stopping(self) -> bool:
        """The process ends, the time is up, or the lease is lost: finish what cannot be left, and return."""
        return self._stop.is_set()

    def stop(self) -> None:
        self._stop.set()

    def pause(self, seconds: float) -> bool:
        """Wait; True when the run has to stop, and then at once."""
        return self._stop.wait(seconds)

    def report(self, detail: dict[str, Any], *, now: bool = False) -> None:
        """Tell how far the work is (plain JSON); written at most once a second, the last one always."""
        self._last = detail
        if now or time.monotonic() - self._reported >= REPORT_GAP:
            self.flush()

    def flush(self) -> None:
        """Write the report that came too soon after another."""
        if self._last is not None:
            self._reported = time.monotonic()
            leases.report(self._held, self._last)
            self._last = None


class Run:
    """The work on a thread of its own with connections of its own, and a second thread that keeps the lease."""

    def __init__(self, held: Held, work: Work, timeout: float) -> None:
        self.context = Context(held)
        self.outcome = ""
        self._held = held
        self._work = work
        self._timeout = timeout
        self._ended = threading.Event()
        self._worker = threading.Thread(target=self._do, name=f"job {held.name}", daemon=True)
        self._keeper = threading.Thread(target=self._keep, name=f"lease {held.name}", daemon=True)

    def begin(self) -> None:
        with _lock:
            _under_way.add(self)
        try:
            self._keeper.start()
            self._worker.start()
        except RuntimeError:  # there are no more threads
            self._ended.set()
            with _lock:
                _under_way.discard(self)
            leases.finish(self._held, "failed: no more threads")
            raise

    def wait(self, seconds: float | None = None) -> bool:
        """True when the work has ended and its end is written down."""
        if not self._ended.wait(seconds):
            return False
        self._keeper.join(seconds)
        return True

    def _do(self) -> None:
        try:
            self.outcome = self._done()
            self._close()
        finally:
            connections.close_all()
            with _lock:
                _under_way.discard(self)
            self._ended.set()

    def _done(self) -> str:
        try:
            self._work(self.context)
            self.context.flush()
        except Exception as error:  # the edge of this thread: a failed run is recorded, and runs again
            log.exception("job %s failed", self._held.name)
            return f"failed: {type(error).__name__}"
        return leases.STOPPED if self.context.stopping else leases.OK

    def _close(self) -> None:
        try:
            leases.finish(self._held, self.outcome)
        except (DatabaseError, InterfaceError):
            log.warning("job %s: its end could not be written down; its lease will run out", self._held.name)

    def _keep(self) -> None:
        """Renew until the work has ended. Past its time the work is asked to stop, and a lease later loses it."""
        began = time.monotonic()
        try:
            while not self._ended.wait(min(RENEWAL, max(0.05, began + self._timeout - time.monotonic()))):
                over = time.monotonic() - began - self._timeout
                if over >= 0 and not self.context.stopping:
                    log.error("job %s: not done after %d s, asked to stop", self._held.name, self._timeout)
                    self.context.stop()
                if over > LEASE:
                    return
                if not self._renewed():
                    self.context.stop()
                    return
                if over >= 0:
                    self._ended.wait(RENEWAL)
        finally:
            connections.close_all()

    def _renewed(self) -> bool:
        try:
            kept = leases.renew(self._held, LEASE)
        except Exception:  # the edge of this thread; of a connection that died drivers raise more than their own errors
            log.warning("job %s: its lease could not be renewed", self._held.name, exc_info=True)
            connections.close_all()
            return True  # not known to be lost; the next look will tell
        if not kept:
            log.error("job %s: its lease is lost, asked to stop", self._held.name)
        return kept


_lock = threading.Lock()
_under_way: set[Run] = set()


def start(name: str, work: Work, timeout: float, *, if_started: int | None = None, counts: bool = True) -> Run | None:
    """Begin the work in the background under the lease of that name; None when it already runs somewhere.

    `counts`: as of `jobs.leases.start`.
    """
    held = leases.acquire(name, LEASE, if_started=if_started)
    if held is None:
        return None
    leases.start(held, counts=counts)
    run = Run(held, work, timeout)
    run.begin()
    return run


def stop_all(seconds: float) -> None:
    """Ask every run of this process to stop and wait for them together; what does not end is left to its lease."""
    with _lock:
        runs = list(_under_way)
    for run in runs:
        run.context.stop()
    deadline = time.monotonic() + seconds
    for run in runs:
        run.wait(max(0.0, deadline - time.monotonic()))
